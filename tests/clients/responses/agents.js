// Both clients as npm brings them, each with the model that it takes by itself: node agents.js CLIENT URL KEY QUESTION
import { createOpenAI } from "@ai-sdk/openai";
import { Agent, Runner, OpenAIProvider, tool, setTracingDisabled } from "@openai/agents";
import { generateText, Output, stepCountIs, streamText, tool as aiTool } from "ai";
import { z } from "zod";

const [client, url, apiKey, question] = process.argv.slice(2);
const model = "gpt-5.5";
const baseURL = `${url}/v1`;
const place = z.object({ city: z.string() });
const description = "How the weather is in a city.";
const results = [];
const execute = async ({ city }) => {
  results.push(`It rains in ${city}.`);
  return results.at(-1);
};

const scenarios = {
  async agents() {
    setTracingDisabled(true);
    const runner = new Runner({ modelProvider: new OpenAIProvider({ apiKey, baseURL }) });
    const tools = [tool({ name: "get_weather", description, parameters: place, execute })];
    const agent = new Agent({ name: "Keeper", instructions: "Be brief.", model, tools });
    const whole = await runner.run(agent, question);
    const called = [...results];
    const after = await runner.run(agent, "Say it.", { previousResponseId: whole.lastResponseId });
    const stream = await runner.run(agent, question, { stream: true });
    let streamed = "";
    for await (const delta of stream.toTextStream()) streamed += delta;
    const typed = await runner.run(new Agent({ name: "Clerk", model, outputType: place }), "Typed, please.");
    return {
      results: called,
      answer: whole.finalOutput,
      streamed,
      city: typed.finalOutput.city,
      after: after.finalOutput,
    };
  },
  async ai_sdk() {
    const openai = createOpenAI({ baseURL, apiKey });
    const tools = { get_weather: aiTool({ description, inputSchema: place, execute }) };
    const settings = { model: openai(model), tools, stopWhen: stepCountIs(3), maxRetries: 0 };
    const whole = await generateText({ ...settings, prompt: question });
    const called = [...results];
    const messages = [
      { role: "user", content: question },
      ...whole.response.messages,
      { role: "user", content: "Say it." },
    ];
    const after = await generateText({ ...settings, messages });
    let streamed = "";
    for await (const delta of streamText({ ...settings, prompt: question }).textStream) streamed += delta;
    const output = Output.object({ schema: place });
    const typed = await generateText({ model: openai(model), prompt: "Typed, please.", output, maxRetries: 0 });
    return { results: called, answer: whole.text, streamed, city: typed.output.city, after: after.text };
  },
};

console.log(JSON.stringify(await scenarios[client]()));
