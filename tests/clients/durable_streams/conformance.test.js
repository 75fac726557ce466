// The conformance tests of the Durable Streams protocol against the server at STREAMS_URL.
import { runConformanceTests } from "@durable-streams/server-conformance-tests";

runConformanceTests({ baseUrl: process.env.STREAMS_URL, longPollTimeoutMs: 25_000 });
