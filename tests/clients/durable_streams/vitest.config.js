// A long poll of ours lasts 20 seconds, and some tests wait for its end.
export default { test: { testTimeout: 30_000 } };
