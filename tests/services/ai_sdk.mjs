// Talks with an application as `useChat` does, by the AI SDK's own chat, transport and reader.
// Prints what the reader has made of each answer.

import { AbstractChat, DefaultChatTransport } from "ai";

const [origin] = process.argv.slice(2);

/** What `useChat` keeps in a component. */
class State {
  messages = [];
  status = "ready";
  error = undefined;
  pushMessage = (message) => { this.messages = [...this.messages, message]; };
  popMessage = () => { this.messages = this.messages.slice(0, -1); };
  replaceMessage = (index, message) => { this.messages = this.messages.with(index, message); };
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {
  constructor(path, id) {
    const transport = new DefaultChatTransport({ api: origin + path, headers: { "x-conversation-id": id } });
    const finished = [];
    super({ id, state: new State(), transport, onFinish: (event) => finished.push(event), onError: () => {} });
    this.finished = finished;
  }

  /** What there is to see, without ids, which are random. */
  get told() {
    const { isAbort, isError, finishReason } = this.finished.at(-1) ?? {};
    const messages = this.messages.map(({ role, parts, metadata }) => ({ role, parts, metadata }));
    return { status: this.status, error: this.error?.message, isAbort, isError, finishReason, messages };
  }
}

const told = {};
let number = 0;
const fresh = (path) => new Chat(path, String(++number).padStart(32, "0"));

for (const path of ["/api/chat", "/api/stateless"]) {
  const chat = fresh(path);
  await chat.sendMessage({ text: "everything" });
  told[`${path} everything`] = chat.told;
  await chat.sendMessage({ text: "And?" });
  told[`${path} next`] = chat.told.messages.at(-1).parts.at(-1).text;
  await chat.regenerate();
  told[`${path} again`] = chat.told.messages.at(-1).parts.at(-1).text;
  await chat.sendMessage({ text: "Else?", messageId: chat.messages[0].id });
  told[`${path} edited`] = chat.told.messages.at(-1).parts.at(-1).text;

  const broken = fresh(path);
  await broken.sendMessage({ text: "broken" });
  told[`${path} broken`] = broken.told;

  const anew = fresh(path);
  await anew.sendMessage({ text: "anew" });
  told[`${path} anew`] = anew.told;

  const stopped = fresh(path);
  const sent = stopped.sendMessage({ text: "hang" });
  while (!JSON.stringify(stopped.messages).includes("a b ")) await new Promise((done) => setTimeout(done, 5));
  await stopped.stop();
  await sent;
  told[`${path} stopped`] = stopped.told;
}

console.log(JSON.stringify(told));
