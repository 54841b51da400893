// What the official client of npm says to our API. The address is the first argument.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const origin = process.argv[2];
const open = (apiKey) => new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
const client = open("sk-test");
const said = (content) => [{ role: "user", content }];
const ask = (text, options) =>
  client.chat.completions.create({ model: "scripted", messages: said(text), ...options });
const streams = async () => Number(await (await fetch(`${origin}/streams`)).text());
const waitForNoStream = async () => {
  for (let attempt = 0; attempt < 500; attempt++) {
    if ((await streams()) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail("the model is still sending");
};

// Chat.
const answer = await ask("Hi");
assert.equal(answer.choices[0].message.content, "You said: Hi");
assert.equal(answer.usage.total_tokens, 12);
assert.match(answer._request_id, /^req_/);

// A stream with its usage.
let text = "";
let usage;
for await (const chunk of await ask("Hi", { stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, "You said: Hi");
assert.equal(usage.total_tokens, 12);

// Calls of tools: the client's own loop runs them and sends the results back.
const cities = [];
const runner = client.chat.completions.runTools({
  model: "scripted",
  messages: said("weather"),
  stream: true,
  tools: [{
    type: "function",
    function: {
      name: "get_weather",
      parse: JSON.parse,
      function: ({ city }) => (cities.push(city), "sunny"),
      parameters: { type: "object", properties: { city: { type: "string" } } },
    },
  }],
});
assert.equal(await runner.finalContent(), "It is sunny in Paris.");
assert.deepEqual(cities, ["Paris", "Rome"]);

// Structured output.
const schema = {
  type: "object", properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"], additionalProperties: false,
};
const structured = await ask("json", {
  response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } },
});
assert.deepEqual(JSON.parse(structured.choices[0].message.content), { name: "Ada", age: 36 });

// Models and embeddings.
const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.deepEqual(models.sort(), ["pirate", "scripted", "words"]);
assert.equal((await client.models.retrieve("pirate")).owned_by, "ember");
const vectors = await client.embeddings.create({ model: "words", input: ["a", "b"] });
assert.deepEqual(vectors.data.map((item) => item.embedding.length), [8, 8]);

// Errors are typed exceptions.
await assert.rejects(open("sk-wrong").models.list(), (error) =>
  error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key");
await assert.rejects(ask("Hi", { n: 2 }), (error) =>
  error instanceof OpenAI.BadRequestError && error.param === "n");
await assert.rejects(client.models.retrieve("gpt-9"), OpenAI.NotFoundError);
await assert.rejects(ask("busy"), OpenAI.RateLimitError);
await assert.rejects(ask("busy", { stream: true }), OpenAI.RateLimitError);
await assert.rejects(ask("down"), OpenAI.InternalServerError);

// A stream that breaks is an exception, after what has arrived.
let pieces = "";
await assert.rejects(async () => {
  for await (const chunk of await ask("break", { stream: true })) pieces += chunk.choices[0].delta.content ?? "";
}, OpenAI.APIError);
assert.equal(pieces, "one two ");

// Cancellation reaches the model.
const endless = await ask("forever", { stream: true });
for await (const _ of endless) {
  assert.equal(await streams(), 1);
  break;
}
endless.controller.abort();
await waitForNoStream();

// A hundred streams at the same time.
await Promise.all(Array.from({ length: 100 }, async (_, number) => {
  const asked = number % 2 ? "slow" : `number ${number}`;
  let all = "";
  for await (const chunk of await ask(asked, { stream: true })) all += chunk.choices[0].delta.content ?? "";
  assert.equal(all, number % 2 ? "one two three four five" : `You said: ${asked}`);
}));
await waitForNoStream();
const { version } = JSON.parse(readFileSync(new URL("./node_modules/openai/package.json", import.meta.url)));
console.log(`openai ${version}`);
