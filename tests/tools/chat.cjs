// One chat with the OpenAI library for Node as it comes: no agent, no dispatcher, no certificate.
const { OpenAI } = require("openai");

new OpenAI({ maxRetries: 0 }).chat.completions
  .create({ model: "gpt-4o-mini", messages: [{ role: "user", content: "hello" }] })
  .then((answer) => console.log(answer.choices[0].message.content));
