// Shows the OpenAPI document that the server has, and tries its routes. Text from the document
// and from answers only ever becomes text nodes.

const address = new URL(document.querySelector("script[data-document]").dataset.document, location.href);
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const MOST_EVENTS = 1000;
const MOST_TEXT = 1 << 20;
const keys = new Map();
let api;

const byId = (id) => document.getElementById(id);

/** Makes an element: attributes (a function is a listener), then children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

// ---- Text: the Markdown of doc comments, as far as they usually go.

function inline(text) {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/);
  return parts.filter(Boolean).map((part) => {
    if (/^`.+`$/.test(part)) return make("code", {}, part.slice(1, -1));
    if (/^\*\*.+\*\*$/.test(part)) return make("strong", {}, part.slice(2, -2));
    const link = part.match(/^\[(.+)\]\((.+)\)$/);
    if (!link) return part;
    return /^https?:/.test(link[2]) ? make("a", { href: link[2], rel: "noreferrer" }, link[1]) : link[1];
  });
}

function prose(text) {
  const blocks = [];
  for (const [index, piece] of (text ?? "").split(/^```.*$/m).entries()) {
    if (index % 2) blocks.push(make("pre", {}, piece.replace(/^\n|\n$/g, "")));
    else for (const block of piece.split(/\n\s*\n/).filter((block) => block.trim())) {
      if (/^\s*[-*] /.test(block)) {
        const items = block.trim().split(/\n(?=\s*[-*] )/);
        blocks.push(make("ul", {}, items.map((item) => make("li", {}, inline(item.replace(/^\s*[-*] /, ""))))));
      } else if (/^#+ /.test(block)) {
        const [title, ...rest] = block.split("\n");
        blocks.push(make("p", {}, make("strong", {}, inline(title.replace(/^#+ /, "")))), ...prose(rest.join("\n")));
      } else blocks.push(make("p", {}, inline(block)));
    }
  }
  return blocks;
}

// ---- Schemas: what a value looks like, and one that does.

function resolve(value) {
  for (let steps = 0; value?.$ref && steps < 20; steps++) {
    const { $ref, ...rest } = value;
    const path = decodeURIComponent($ref.slice(2)).split("/");
    const target = path.reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], api);
    value = { ...target, ...rest };
  }
  return value && typeof value === "object" ? value : {};
}

const typesOf = (schema) => [schema.type ?? []].flat();
const alternatives = (schema) => schema.oneOf ?? schema.anyOf;

function typeName(schema) {
  const name = schema?.$ref?.split("/").pop();
  const full = resolve(schema);
  if (full.enum) return full.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in full) return JSON.stringify(full.const);
  if (name) return name;
  if (alternatives(full)) return alternatives(full).map(typeName).join(" | ");
  if (full.allOf) return full.allOf.map(typeName).join(" & ");
  const items = full.items && typeName(full.items);
  const names = typesOf(full).map((type) => (type === "array" && items ? `${/ /.test(items) ? `(${items})` : items}[]` : type));
  // The format of an integer says its bounds in one word.
  const said = /^u?int/.test(full.format) ? [] : ["minimum", "maximum"];
  const limits = [...said, "minLength", "maxLength", "pattern"].filter((limit) => limit in full);
  const notes = [full.format, ...limits.map((limit) => `${limit} ${full[limit]}`)].filter(Boolean);
  return (names.join(" | ") || "any") + (notes.length ? ` (${notes.join(", ")})` : "");
}

function members(schema, depth = 0) {
  const full = resolve(schema);
  const inner = [...(full.allOf ?? []), ...(alternatives(full) ?? [])].map((part) => members(part, depth + 1));
  const items = typesOf(full).includes("array") && full.items ? members(full.items, depth + 1) : null;
  const rows = Object.entries(full.properties ?? {}).map(([name, member]) => {
    const about = resolve(member).description;
    return make("li", {}, make("code", {}, name), " ", make("span", { class: "type" }, typeName(member)), " ",
      full.required?.includes(name) && make("span", { class: "must" }, "required"), prose(about), later(member, depth));
  });
  const list = rows.length ? make("ul", { class: "members" }, rows) : null;
  const all = [list, items, ...inner].filter(Boolean);
  return all.length > 1 ? make("div", {}, all) : all[0] ?? null;
}

/** The members of a member, shown when they are asked for: types may contain themselves. */
function later(schema, depth) {
  const full = resolve(schema);
  const nested = full.properties || alternatives(full) || full.allOf || (full.items && resolve(full.items).properties);
  if (!nested || depth > 20) return null;
  const box = make("details", {}, make("summary", {}, "members"));
  box.addEventListener("toggle", () => box.append(members(schema, depth + 1) ?? "none"), { once: true });
  return box;
}

function example(schema, depth = 0) {
  const full = resolve(schema);
  if ("example" in full) return full.example;
  if (full.examples?.length) return full.examples[0];
  if ("default" in full) return full.default;
  if ("const" in full) return full.const;
  if (full.enum) return full.enum[0];
  if (depth > 6) return null;
  const choices = alternatives(full);
  const choice = choices?.find((part) => resolve(part).type !== "null") ?? choices?.[0];
  const parts = [...(full.allOf ?? []), ...(choice ? [choice] : [])].map((part) => example(part, depth + 1));
  const type = typesOf(full).find((type) => type !== "null") ?? (full.properties ? "object" : undefined);
  switch (type) {
    case "object": {
      const own = Object.entries(full.properties ?? {}).map(([name, member]) => [name, example(member, depth + 1)]);
      const others = parts.filter((part) => part && typeof part === "object" && !Array.isArray(part));
      return Object.assign({}, ...others, Object.fromEntries(own));
    }
    case "array":
      return full.prefixItems ? full.prefixItems.map((item) => example(item, depth + 1))
        : full.items && depth < 4 ? [example(full.items, depth + 1)] : [];
    case "integer": case "number":
      return full.minimum > 0 ? full.minimum : full.maximum < 1 ? full.maximum : 1;
    case "boolean": return true;
    case "string": return text(full);
    default: {
      if (parts.length < 2) return parts[0] ?? null;
      return Object.assign({}, ...parts.filter((part) => part && typeof part === "object"));
    }
  }
}

function text(schema) {
  const known = {
    date: "2025-01-31", "date-time": "2025-01-31T12:00:00Z", time: "12:00:00Z", email: "ada@example.org",
    uuid: "00000000-0000-4000-8000-000000000000", uri: "urn:example:a", ipv4: "127.0.0.1", ipv6: "::1",
  };
  return known[schema.format] ?? "text".padEnd(schema.minLength ?? 0, "x").slice(0, schema.maxLength ?? Infinity);
}

// ---- Fields: one for each parameter and each member of a form.

let fields = 0;

function field(parameter, initial) {
  const schema = resolve(parameter.schema);
  const id = `field-${++fields}`;
  const choices = schema.enum ?? (typesOf(schema).includes("boolean") ? [true, false] : null);
  const value = initial ?? (parameter.required ? example(parameter.schema) : "");
  const shown = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
  let input;
  if (schema.format === "binary") input = make("input", { id, type: "file" });
  else if (choices) {
    input = make("select", { id }, !parameter.required && make("option", { value: "" }, "–"),
      choices.map((choice) => make("option", { value: String(choice) }, String(choice))));
    input.value = shown;
  } else input = make("input", { id, type: "text", autocomplete: "off", spellcheck: "false" });
  if (input.type === "text") input.value = typesOf(schema).includes("array") && Array.isArray(value) ? value.join(", ") : shown;
  input.name = parameter.name;
  if (parameter.required && input.type !== "file") input.required = true;
  const place = parameter.in ? `${parameter.in}, ` : "";
  const label = make("label", { for: id }, parameter.name, " ", parameter.required && make("span", { class: "must" }, "required"),
    make("span", { class: "type" }, place + typeName(parameter.schema)));
  const values = () => {
    if (input.type === "file") return [...input.files];
    if (input.value === "") return [];
    return typesOf(schema).includes("array") ? input.value.split(",").map((part) => part.trim()) : [input.value];
  };
  return { parameter, input, label, values };
}

// ---- A route: what it says, and how it is tried.

const parametersOf = (route) => [...(route.item.parameters ?? []), ...(route.operation.parameters ?? [])].map(resolve);

function show(route) {
  const { operation } = route;
  const parameters = parametersOf(route);
  const body = operation.requestBody && resolve(operation.requestBody);
  const parts = [operation.deprecated && make("p", { class: "must" }, "Deprecated."), prose(operation.description)];
  if (parameters.length) {
    const rows = parameters.map((parameter) => make("tr", {},
      make("td", {}, make("code", {}, parameter.name), " ", parameter.required && make("span", { class: "must" }, "required")),
      make("td", {}, parameter.in), make("td", { class: "type" }, typeName(parameter.schema)),
      make("td", {}, prose(parameter.description ?? resolve(parameter.schema).description))));
    const head = ["Name", "In", "Type", "Meaning"].map((name) => make("th", { scope: "col" }, name));
    parts.push(make("h3", {}, "Parameters"), make("div", { class: "scroll" },
      make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows))));
  }
  if (body) {
    parts.push(make("h3", {}, "Body ", body.required && make("span", { class: "must" }, "required")), contents(body.content));
  }
  parts.push(make("h3", {}, "Answers"));
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    const full = resolve(answer);
    const headers = Object.entries(full.headers ?? {}).map(([name, header]) =>
      make("p", { class: "note" }, make("code", {}, name), " ", inline(resolve(header).description ?? "")));
    parts.push(make("p", {}, make("strong", {}, status), " ", inline(full.description ?? "")), headers, contents(full.content));
  }
  const ways = operation.security ?? api.security ?? [];
  if (ways.length) {
    const names = ways.map((way) => Object.keys(way).join(" and ") || "nobody is asked");
    parts.push(make("p", { class: "note" }, `Needs: ${names.join(", or ")}.`));
  }
  parts.push(attempt(route, parameters, body));
  return parts.flat(Infinity).filter(Boolean);
}

function contents(content) {
  return Object.entries(content ?? {}).map(([type, media]) => {
    const title = make("span", { class: "type" }, type, media.schema ? ` · ${typeName(media.schema)}` : "");
    const inner = media.schema && members(media.schema);
    const about = media.schema?.$ref ? prose(resolve(media.schema).description).slice(0, 1) : [];
    // Nearly every route can answer a problem; who has seen one need not see them all.
    if (type === "application/problem+json" && inner) return make("details", { class: "content" }, make("summary", {}, title), about, inner);
    return make("div", { class: "content" }, title, about, inner);
  });
}

function attempt(route, parameters, body) {
  const inputs = parameters.filter((parameter) => parameter.in !== "cookie").map((parameter) => field(parameter));
  const box = make("div", { class: "fields" }, inputs.map(({ label, input }) => [label, input]));
  const payload = body ? bodyFields(body, box) : null;
  const send = make("button", { class: "send", type: "submit" }, "Send");
  const stop = make("button", { class: "stop", type: "button", disabled: true }, "Stop");
  const news = make("p", { role: "status" });
  const result = make("div");
  const form = make("form", { class: "try" }, make("h3", {}, "Try it"), box,
    parameters.some((parameter) => parameter.in === "cookie") && make("p", { class: "note" }, "The browser sends the cookies that it has."),
    make("div", { class: "buttons" }, send, stop), make("div", { class: "outcome" }, news, result));
  if (route.method === "trace") {
    send.disabled = true;
    news.append("A browser sends no TRACE.");
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const controller = new AbortController();
    const halt = () => controller.abort();
    stop.addEventListener("click", halt);
    [send.disabled, stop.disabled] = [true, false];
    try {
      await exchange(request(route, inputs, payload?.()), { news, result }, controller.signal);
    } catch (error) {
      const message = error.name === "AbortError" ? "Stopped." : `No answer: ${error.message}`;
      result.append(make("p", { class: "note ended" }, message));
    } finally {
      stop.removeEventListener("click", halt);
      [send.disabled, stop.disabled] = [false, true];
    }
  });
  return form;
}

/** Adds what the body is made of, and returns how it is put together. */
function bodyFields(body, box) {
  const types = Object.keys(body.content ?? {});
  const choice = make("select", { "aria-label": "Media type of the body" }, types.map((type) => make("option", {}, type)));
  const place = make("div", { class: "wide fields" });
  let build = () => ({});
  const fill = () => {
    const type = choice.value;
    const schema = body.content[type]?.schema;
    const properties = Object.entries(resolve(schema).properties ?? {});
    if (properties.length && /^(multipart\/form-data|application\/x-www-form-urlencoded)$/.test(type)) {
      const required = resolve(schema).required ?? [];
      const inputs = properties.map(([name, member]) => field({ name, schema: member, required: required.includes(name) }));
      place.replaceChildren(...inputs.flatMap(({ label, input }) => [label, input]));
      build = () => {
        const data = type.startsWith("multipart") ? new FormData() : new URLSearchParams();
        for (const { parameter, values } of inputs) for (const value of values()) data.append(parameter.name, value);
        // The browser writes the media type, with the boundary where there is one.
        return { body: data };
      };
    } else if (!schema && !type.startsWith("text/") && !/json/.test(type)) {
      const input = make("input", { type: "file", class: "wide", "aria-label": "Body" });
      place.replaceChildren(input);
      build = () => (input.files.length ? { body: input.files[0], type } : {});
    } else {
      const value = schema ? example(schema) : null;
      const input = make("textarea", { class: "wide", "aria-label": "Body", spellcheck: "false", name: "body" });
      input.value = /json/.test(type) ? JSON.stringify(value ?? {}, null, 2) : String(value ?? "");
      input.rows = Math.min(input.value.split("\n").length + 1, 20);
      place.replaceChildren(input);
      build = () => (input.value === "" && !body.required ? {} : { body: input.value, type });
    }
  };
  choice.addEventListener("change", fill);
  box.append(make("label", {}, "body", make("span", { class: "type" }, body.required ? "required" : "optional")), choice, place);
  fill();
  return () => build();
}

// ---- Requests and answers.

function request(route, inputs, payload = {}) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let path = route.path;
  for (const { parameter, values } of inputs) {
    for (const value of values()) {
      if (parameter.in === "path") {
        const rest = parameter["x-ember-rest"];
        const written = rest ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
        path = path.replace(`{${parameter.name}}`, () => written);
      } else if (parameter.in === "query") query.append(parameter.name, value);
      else headers.append(parameter.name, value);
    }
  }
  for (const way of route.operation.security ?? api.security ?? []) {
    for (const name of Object.keys(way)) authorize(name, headers, query);
  }
  if (payload.type) headers.set("content-type", payload.type);
  // Only the server that sent the page is asked; the document may name its path there.
  const base = (api.servers ?? []).map((server) => server.url).find((url) => url.startsWith("/")) ?? "";
  const target = base.replace(/\/$/, "") + path + (query.size ? `?${query}` : "");
  return { target, method: route.method.toUpperCase(), headers, body: payload.body };
}

function authorize(name, headers, query) {
  const scheme = api.components?.securitySchemes?.[name];
  const key = keys.get(name)?.value;
  if (!scheme || !key) return;
  if (scheme.type === "apiKey" && scheme.in === "header") headers.set(scheme.name, key);
  else if (scheme.type === "apiKey" && scheme.in === "query") query.set(scheme.name, key);
  else if (scheme.scheme === "basic") headers.set("authorization", `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(key)))}`);
  else if (scheme.type !== "apiKey") headers.set("authorization", `Bearer ${key}`);
}

async function exchange(asked, { news, result }, signal) {
  const { target, method, headers, body } = asked;
  result.replaceChildren();
  news.replaceChildren(make("code", {}, `${method} ${target}`));
  const begun = performance.now();
  const passed = () => `${Math.round(performance.now() - begun)} ms`;
  const answer = await fetch(target, { method, headers, body, signal, credentials: "same-origin", cache: "no-store" });
  const status = make("span", { class: `status ${answer.ok ? "good" : "bad"}` }, `${answer.status} ${answer.statusText}`.trim());
  const time = make("span", { class: "note" }, `first byte after ${passed()}`);
  news.replaceChildren(status, " ", time);
  const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  result.append(make("details", {}, make("summary", {}, "Request"), make("pre", { class: "curl" }, curl(asked))),
    make("details", {}, make("summary", {}, "Headers of the answer"), make("pre", { class: "headers" }, lines)));
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream")) await showEvents(answer, result, passed);
  else await showBody(answer, type, result);
  time.textContent += `, whole answer after ${passed()}`;
}

/** The request as a command for a shell. */
function curl({ target, method, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [`curl -iN -X ${method} ${quote(new URL(target, location.href).href)}`];
  for (const [name, value] of headers) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (body instanceof URLSearchParams || typeof body === "string") parts.push(`--data-raw ${quote(body.toString())}`);
  else if (body instanceof FormData) {
    for (const [name, value] of body) parts.push(`-F ${quote(`${name}=${value instanceof File ? `@${value.name}` : value}`)}`);
  } else if (body) parts.push(`--data-binary ${quote(`@${body.name}`)}`);
  return parts.join(" \\\n  ");
}

async function showBody(answer, type, result) {
  const chunks = [];
  let length = 0;
  const reader = answer.body?.getReader();
  while (reader && length <= MOST_TEXT) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  const whole = length <= MOST_TEXT;
  if (!whole) await reader.cancel();
  if (!length) return result.append(make("p", { class: "note" }, "The answer has no body."));
  if (!/^(text\/|application\/(.+\+)?(json|xml|javascript|x-www-form-urlencoded))/.test(type)) {
    return result.append(make("p", { class: "note" }, `${whole ? length : `More than ${MOST_TEXT}`} bytes of ${type || "an unknown type"}.`));
  }
  let shown = await new Blob(chunks).text();
  if (/json/.test(type) && whole) {
    try {
      shown = JSON.stringify(JSON.parse(shown), null, 2);
    } catch { /* It is shown as it came. */ }
  }
  result.append(make("pre", { class: "answer", tabindex: "0" }, shown));
  if (!whole) result.append(make("p", { class: "note" }, "The answer is longer; the rest was not read."));
}

/** Shows events as they arrive, read as the HTML standard says (section 9.2.6). */
async function showEvents(answer, result, passed) {
  const list = make("ol", { class: "events", tabindex: "0", "aria-label": "Events" });
  result.append(list);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let [rest, event, data, length] = ["", "", [], 0];
  const take = (line) => {
    if (line === "") {
      if (data.length) {
        list.append(make("li", {}, make("span", { class: "time" }, passed()), event && make("span", { class: "name" }, event),
          make("span", { class: "data" }, data.join("\n"))));
        if (list.children.length > MOST_EVENTS) list.firstChild.remove();
        list.scrollTop = list.scrollHeight;
      }
      [event, data, length] = ["", [], 0];
      return;
    }
    const [, name, value = ""] = line.match(/^([^:]*)(?:: ?(.*))?$/s);
    if (name === "data") {
      data.push(value);
      length += value.length;
    } else if (name === "event") event = value;
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += value;
    // A lone CR at the end may be the first half of CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(take);
    if (rest.length + length > MOST_TEXT) {
      await reader.cancel();
      throw new Error(`an event has more than ${MOST_TEXT} characters`);
    }
  }
  result.append(make("p", { class: "note ended" }, "The stream has ended."));
}

// ---- The page.

function routesOf() {
  return Object.entries(api.paths ?? {}).flatMap(([path, item]) => METHODS.filter((method) => item[method])
    .map((method) => ({ path, item, method, operation: item[method], id: item[method].operationId ?? `${method}-${path}` })));
}

function groupsOf(routes) {
  const groups = new Map((api.tags ?? []).map((tag) => [tag.name, { ...tag, routes: [] }]));
  for (const route of routes) {
    const name = route.operation.tags?.[0] ?? "";
    if (!groups.has(name)) groups.set(name, { name, routes: [] });
    groups.get(name).routes.push(route);
  }
  return [...groups.values()].filter((group) => group.routes.length);
}

const heading = (route) => [make("span", { class: `method ${route.method}` }, route.method.toUpperCase()), make("span", { class: "path" }, route.path)];

function draw(group) {
  const name = group.name || "Routes";
  const list = group.routes.map((route) => {
    const body = make("div", { class: "body" });
    const box = make("details", { class: `route ${route.operation.deprecated ? "deprecated" : ""}`, id: route.id },
      make("summary", {}, heading(route), make("span", { class: "about" }, inline(route.operation.summary ?? ""))), body);
    box.addEventListener("toggle", () => body.append(...show(route)), { once: true });
    route.box = box;
    return box;
  });
  group.section = make("section", {}, make("h2", {}, name), prose(group.description), list);
  byId("routes").append(group.section);
  const links = group.routes.map((route) => (route.link = make("li", {}, make("a", { href: `#${encodeURIComponent(route.id)}` }, heading(route)))));
  group.index = make("div", {}, make("h2", {}, name), make("ul", {}, links));
  byId("index").append(group.index);
}

function filter(groups, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of groups) {
    let visible = 0;
    for (const route of group.routes) {
      const all = [route.method, route.path, route.operation.summary, route.operation.operationId, group.name].join(" ").toLowerCase();
      const fits = words.every((word) => all.includes(word));
      route.box.hidden = route.link.hidden = !fits;
      visible += fits;
    }
    group.section.hidden = group.index.hidden = !visible;
    found += visible;
  }
  const notice = byId("notice");
  notice.hidden = found > 0;
  notice.textContent = "No route has these words.";
}

function open() {
  const box = byId(decodeURIComponent(location.hash.slice(1)));
  if (!box?.matches("details.route")) return;
  box.open = true;
  box.scrollIntoView();
}

function askForKeys() {
  const schemes = Object.entries(api.components?.securitySchemes ?? {});
  const asked = schemes.filter(([, scheme]) => !(scheme.type === "apiKey" && scheme.in === "cookie"));
  const rows = asked.flatMap(([name, scheme]) => {
    const hint = scheme.type === "apiKey" ? `${scheme.in}, ${scheme.name}` : scheme.scheme === "basic" ? "name:password" : "token";
    const input = make("input", { id: `key-${name}`, type: "password", autocomplete: "off" });
    keys.set(name, input);
    return [make("label", { for: `key-${name}` }, name, make("span", { class: "type" }, hint)), input];
  });
  if (!rows.length) return;
  byId("keys").append(make("form", { class: "fields", submit: (event) => event.preventDefault() }, rows));
  byId("keys").hidden = false;
}

async function start() {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  api = await answer.json();
  document.title = api.info.title;
  byId("title").textContent = api.info.title;
  byId("version").textContent = api.info.version;
  byId("description").append(...prose(api.info.description));
  if (api.servers) byId("servers").textContent = `· served at ${api.servers.map((server) => server.url).join(", ")}`;
  askForKeys();
  const groups = groupsOf(routesOf());
  groups.forEach(draw);
  byId("filter").addEventListener("input", (event) => filter(groups, event.target.value));
  filter(groups, "");
  addEventListener("hashchange", open);
  open();
}

start().catch((error) => {
  byId("notice").textContent = `The document cannot be read: ${error.message}`;
});
