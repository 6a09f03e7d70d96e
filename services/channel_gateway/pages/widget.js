/* Parley web chat widget. Embed it with
 *   <script src="https://gateway.example/widget.js" data-channel="<channel config id>" data-title="Help" async></script>
 * It needs nothing else: no build step, no other code, no cookies. The session lives in localStorage; where that is
 * blocked, in memory. All text is set as text, never as markup.
 */
(() => {
  "use strict";

  const script = document.currentScript;
  const channel = script && script.dataset.channel;
  if (!channel || window.__parleyWidget) return;
  window.__parleyWidget = true;

  const base = new URL(script.src).origin + "/webchat/" + encodeURIComponent(channel);
  const title = script.dataset.title || "Chat with us";
  const storageKey = "parley:" + channel;
  const SEND_TRIES = 8;
  const TEXT_LIMIT = 4000;
  const GONE = new Set([401, 404]);

  const STYLE = `
    :host { all: initial; color-scheme: light dark;
      --ink: #1c2430; --paper: #ffffff; --soft: #5b6573; --line: #dcdfe4; --mine: #1f4fd8; --mine-ink: #ffffff;
      --theirs: #eef0f4; --bad: #b3261e; --focus: #1f4fd8; }
    @media (prefers-color-scheme: dark) { :host {
      --ink: #eceef1; --paper: #1b1f26; --soft: #a5adba; --line: #343b46; --mine: #3d6bf0; --mine-ink: #ffffff;
      --theirs: #2a303a; --bad: #ff8a80; --focus: #9db7ff; } }
    * { box-sizing: border-box; font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
    button { font: inherit; cursor: pointer; border: 0; }
    button:focus-visible, textarea:focus-visible, summary:focus-visible, .log:focus-visible {
      outline: 3px solid var(--focus); outline-offset: 2px; }
    .launcher { position: fixed; right: 20px; bottom: 20px; width: 60px; height: 60px; border-radius: 50%;
      background: var(--mine); color: var(--mine-ink); box-shadow: 0 6px 20px rgba(0,0,0,.3); z-index: 2147483000; }
    .launcher svg { width: 28px; height: 28px; vertical-align: middle; }
    .unread { position: absolute; top: -2px; right: -2px; min-width: 22px; height: 22px; padding: 0 6px;
      border-radius: 11px; background: var(--bad); color: var(--paper); font-size: 13px; line-height: 22px; }
    .panel { position: fixed; right: 20px; bottom: 92px; width: min(390px, calc(100vw - 40px));
      height: min(620px, calc(100vh - 120px)); height: min(620px, calc(100dvh - 120px)); display: flex;
      flex-direction: column; background: var(--paper); color: var(--ink); border: 1px solid var(--line);
      border-radius: 16px; overflow: hidden; box-shadow: 0 12px 40px rgba(0,0,0,.3); z-index: 2147483000; }
    [hidden] { display: none !important; }
    @media (max-width: 480px) { .panel { inset: 0; width: 100vw; height: 100vh; height: 100dvh; border: 0;
      border-radius: 0; } .launcher[aria-expanded="true"] { display: none; } }
    header { display: flex; align-items: center; gap: 8px; padding: 12px 12px 12px 16px;
      border-bottom: 1px solid var(--line); }
    h2 { flex: 1; margin: 0; font-size: 17px; overflow-wrap: anywhere; }
    .close { width: 40px; height: 40px; border-radius: 8px; background: transparent; color: var(--ink); font-size: 20px; }
    .state { margin: 0; padding: 6px 16px; font-size: 14px; color: var(--bad); border-bottom: 1px solid var(--line); }
    .log { flex: 1; overflow-y: auto; padding: 16px; display: flex; flex-direction: column; gap: 10px; margin: 0;
      list-style: none; }
    .message { max-width: 85%; align-self: flex-start; }
    .message.mine { align-self: flex-end; }
    .bubble { margin: 0; padding: 9px 13px; border-radius: 14px; background: var(--theirs); font-size: 15px;
      line-height: 1.45; white-space: pre-wrap; overflow-wrap: anywhere; }
    .mine .bubble { background: var(--mine); color: var(--mine-ink); }
    .files { display: grid; gap: 6px; margin-top: 4px; font-size: 14px; }
    .files a { color: var(--focus); overflow-wrap: anywhere; }
    .files img, .files video { max-width: 100%; max-height: 260px; border-radius: 10px; display: block; }
    .files audio { width: 100%; }
    .about { margin: 3px 4px 0; font-size: 12px; color: var(--soft); }
    .mine .about { text-align: right; }
    .about.bad { color: var(--bad); }
    .about button { background: none; color: inherit; text-decoration: underline; padding: 4px; }
    details { margin: 4px 4px 0; font-size: 13px; color: var(--soft); }
    summary { cursor: pointer; padding: 4px 0; }
    details ol { margin: 4px 0 0; padding-left: 20px; }
    details q { display: block; font-style: italic; overflow-wrap: anywhere; }
    .typing { padding: 0 20px 8px; margin: 0; font-size: 14px; color: var(--soft); min-height: 26px; }
    form { display: flex; gap: 8px; align-items: flex-end; padding: 12px; border-top: 1px solid var(--line); }
    textarea { flex: 1; min-height: 44px; max-height: 140px; padding: 10px 12px; border: 1px solid var(--line);
      border-radius: 12px; background: var(--paper); color: var(--ink); font-size: 16px; resize: none; }
    .send { height: 44px; padding: 0 16px; border-radius: 12px; background: var(--mine); color: var(--mine-ink); }
    .send:disabled { opacity: .5; cursor: default; }
    .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  `;

  // --- what is kept ---------------------------------------------------------------------------------------------

  const kept = (() => {
    try { return JSON.parse(localStorage.getItem(storageKey)) || {}; } catch { return {}; }
  })();
  let token = kept.token || null;
  let waiting = Array.isArray(kept.waiting) ? kept.waiting : [];  // written, but not yet taken by the server
  let last = 0;
  let open = false;
  let unread = 0;

  function keep() {
    try { localStorage.setItem(storageKey, JSON.stringify({ token, waiting })); } catch { /* blocked: memory only */ }
  }

  // --- the page -------------------------------------------------------------------------------------------------

  function el(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") node.textContent = value; else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  const host = el("div");
  const root = host.attachShadow({ mode: "open" });
  if ("adoptedStyleSheets" in root && window.CSSStyleSheet && CSSStyleSheet.prototype.replaceSync) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
  } else {
    root.append(el("style", { text: STYLE }));
  }

  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("fill", "currentColor");
  path.setAttribute("d", "M4 3h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2h-7l-5 4v-4H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2z");
  icon.append(path);

  const badge = el("span", { class: "unread", hidden: "" });
  const launcher = el("button", {
    class: "launcher", type: "button", "aria-expanded": "false", "aria-controls": "panel", "aria-label": "Open chat",
  }, icon, badge);
  const closer = el("button", { class: "close", type: "button", "aria-label": "Close chat", text: "✕" });
  const state = el("p", { class: "state", role: "status", hidden: "" });
  const log = el("ol", { class: "log", tabindex: "0", role: "log", "aria-live": "polite", "aria-label": "Conversation" });
  // The log stays at its end while messages come and grow, unless the reader has scrolled up.
  let atEnd = true;
  log.addEventListener("scroll", () => { atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80; });
  new MutationObserver(() => { if (atEnd) log.scrollTop = log.scrollHeight; })
    .observe(log, { childList: true, subtree: true, characterData: true });
  const typing = el("p", { class: "typing", "aria-live": "polite" });
  const input = el("textarea", {
    id: "text", rows: "1", maxlength: String(TEXT_LIMIT), placeholder: "Write a message…", autocomplete: "off",
  });
  const sendButton = el("button", { class: "send", type: "submit", text: "Send" });
  const form = el("form", {}, el("label", { class: "hidden", for: "text", text: "Your message" }), input, sendButton);
  const panel = el("section", {
    class: "panel", id: "panel", role: "dialog", "aria-labelledby": "title", hidden: "",
  }, el("header", {}, el("h2", { id: "title", text: title }), closer), state, log, typing, form);
  root.append(panel, launcher);

  function setOpen(value) {
    open = value;
    panel.hidden = !open;
    launcher.setAttribute("aria-expanded", String(open));
    launcher.setAttribute("aria-label", open ? "Close chat" : "Open chat");
    if (open) {
      count(0);
      start();
      input.focus();
      log.scrollTop = log.scrollHeight;
    } else {
      launcher.focus();
    }
  }

  function count(value) {
    unread = value;
    badge.hidden = unread === 0;
    badge.textContent = unread ? String(unread) : "";
    if (unread) launcher.setAttribute("aria-label", `Open chat, ${unread} new`);
  }

  function say(text) {
    state.textContent = text;
    state.hidden = !text;
  }

  // --- messages -------------------------------------------------------------------------------------------------

  const shown = new Map();  // id or client id → its parts

  function bubble(key, mine) {
    const known = shown.get(key);
    if (known) return known;
    const text = el("p", { class: "bubble" });
    const about = el("p", { class: "about" });
    const item = el("li", { class: mine ? "message mine" : "message" },
      el("span", { class: "hidden", text: mine ? "You:" : "Reply:" }), text, about);
    const parts = { item, text, about };
    shown.set(key, parts);
    log.append(item);
    if (mine) atEnd = true;
    return parts;
  }

  function note(parts, text, bad, action) {
    parts.about.className = bad ? "about bad" : "about";
    parts.about.textContent = text;
    if (action) {
      const again = el("button", { type: "button", text: "Try again" });
      again.addEventListener("click", action);
      parts.about.append(" ", again);
    }
  }

  function sources(citations) {
    const list = el("ol");
    const seen = new Set();
    for (const cited of citations) {
      const where = cited.location && cited.location.page ? `, page ${cited.location.page}` : "";
      const line = (cited.title || "Untitled") + where;
      if (seen.has(line + cited.quote)) continue;
      seen.add(line + cited.quote);
      const item = el("li", {}, el("span", { text: line }));
      if (cited.quote) item.append(el("q", { text: cited.quote }));
      list.append(item);
    }
    const label = list.children.length === 1 ? "Source" : `${list.children.length} sources`;
    const first = citations[0].title ? `: ${citations[0].title}` : "";
    return el("details", {}, el("summary", { text: label + first }), list);
  }

  // A file of a reply: pictures, sound and film to look at, everything else to fetch.
  function attachment(file) {
    const name = file.filename || file.kind;
    if (!/^https?:\/\//i.test(file.url)) return el("span", { text: name });
    const link = el("a", { href: file.url, target: "_blank", rel: "noopener noreferrer" });
    if (file.kind === "image") link.append(el("img", { src: file.url, alt: name, loading: "lazy" }));
    else link.textContent = name;
    if (file.kind !== "audio" && file.kind !== "video") return link;
    return el(file.kind, { src: file.url, controls: "", preload: "metadata", "aria-label": name });
  }

  const AUTHORS = { bot: "Automatic answer", agent: "Our team", system: "" };

  function show(message) {
    if (message.seq > last) last = message.seq;
    const mine = message.author === "customer";
    const key = mine && message.client_id ? message.client_id : message.id;
    const fresh = !shown.has(key);
    const parts = bubble(key, mine);
    const files = message.attachments || [];
    parts.text.textContent = message.text || (files.length ? "" : `[${message.kind}]`);
    parts.text.hidden = !parts.text.textContent;
    if (fresh && files.length) parts.about.before(el("div", { class: "files" }, ...files.map(attachment)));
    if (mine) {
      taken(message.client_id);
      note(parts, "Delivered", false);
    } else if (fresh) {
      showTyping(false);
      const when = new Date(message.sent_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      note(parts, [AUTHORS[message.author], when].filter(Boolean).join(" · "), false);
      if (message.citations && message.citations.length) parts.item.append(sources(message.citations));
      if (!open) count(unread + 1);
    }
  }

  let typingTimer = 0;
  function showTyping(on) {
    clearTimeout(typingTimer);
    typing.textContent = on ? "Writing…" : "";
    if (on) typingTimer = setTimeout(() => showTyping(false), 12000);
  }

  // --- the server -----------------------------------------------------------------------------------------------

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const backoff = (attempt) => Math.min(30000, 500 * 2 ** attempt) * (0.75 + Math.random() / 2);

  async function call(route, options = {}) {
    const headers = { ...(options.body ? { "Content-Type": "application/json" } : {}), ...options.headers };
    if (token && route !== "/sessions") headers.Authorization = `Bearer ${token}`;
    return fetch(base + route, { ...options, headers });
  }

  let opening = null;
  function session() {
    if (token) return Promise.resolve();
    opening = opening || (async () => {
      const response = await call("/sessions", { method: "POST", body: "{}" });
      if (!response.ok) throw new Refused(response.status);
      token = (await response.json()).session_token;
      last = 0;
      keep();
    })().finally(() => { opening = null; });
    return opening;
  }

  class Refused extends Error {
    constructor(status) { super(`status ${status}`); this.status = status; }
  }

  function lost(status) {
    if (GONE.has(status) && token) { token = null; keep(); }
  }

  function taken(clientId) {
    const before = waiting.length;
    waiting = waiting.filter((message) => message.client_id !== clientId);
    if (waiting.length !== before) keep();
  }

  // One after the other, so that messages arrive in the order in which they were written.
  let sending = false;
  async function flush() {
    if (sending) return;
    sending = true;
    let attempt = 0;
    while (waiting.length) {
      const message = waiting[0];
      const parts = bubble(message.client_id, true);
      parts.text.textContent = message.text;
      note(parts, "Sending…", false);
      let status = 0;
      try {
        await session();
        const response = await call("/messages", { method: "POST", body: JSON.stringify(message) });
        status = response.status;
        if (response.ok) { taken(message.client_id); note(parts, "Sent", false); attempt = 0; continue; }
      } catch (error) {
        status = error instanceof Refused ? error.status : 0;
      }
      lost(status);
      attempt += 1;
      const hopeless = status >= 400 && status < 500 && ![401, 408, 429].includes(status);
      if (hopeless || attempt >= SEND_TRIES) {
        waiting = waiting.filter((other) => other !== message);
        keep();
        note(parts, "Not sent.", true, () => { waiting.push(message); keep(); flush(); });
        attempt = 0;
        continue;
      }
      await pause(backoff(attempt - 1));
    }
    sending = false;
  }

  let following = false;
  async function start() {
    if (following) return;
    following = true;
    let attempt = 0;
    for (;;) {
      try {
        await session();
        const response = await call(`/stream?after=${last}`, { headers: { Accept: "text/event-stream" } });
        if (!response.ok) throw new Refused(response.status);
        say("");
        attempt = 0;
        flush();
        await read(response.body.getReader());
      } catch (error) {
        if (error instanceof Refused) lost(error.status);
        if (attempt > 1) say("The connection is interrupted; trying again…");
      }
      await pause(backoff(attempt));
      attempt = Math.min(attempt + 1, 6);
    }
  }

  // Server-sent events, read by hand because EventSource cannot send the session token in a header.
  async function read(reader) {
    const decoder = new TextDecoder();
    let buffer = "";
    for (;;) {
      const { done, value } = await withTimeout(reader.read(), 45000, () => reader.cancel());
      if (done) return;
      buffer += decoder.decode(value, { stream: true });
      let end;
      while ((end = buffer.indexOf("\n\n")) >= 0) {
        dispatch(buffer.slice(0, end));
        buffer = buffer.slice(end + 2);
      }
    }
  }

  function withTimeout(promise, ms, give_up) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => { give_up(); reject(new Error("silent")); }, ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  function dispatch(block) {
    let kind = "message";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event:")) kind = line.slice(6).trim();
      else if (line.startsWith("data:")) data += line.slice(5).trimStart();
    }
    if (!data) return;
    const event = JSON.parse(data);
    if (kind === "message") show(event);
    else if (kind === "typing") showTyping(event.typing !== false);
  }

  // --- what people do -------------------------------------------------------------------------------------------

  launcher.addEventListener("click", () => setOpen(!open));
  closer.addEventListener("click", () => setOpen(false));
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") setOpen(false); });
  input.addEventListener("input", () => {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight + 2, 140)}px`;
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    input.style.height = "auto";
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const clientId = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    waiting.push({ client_id: clientId, text });
    keep();
    flush();
    start();
  });
  window.addEventListener("online", () => { if (waiting.length) flush(); });

  document.body.append(host);
  if (token) start();
})();
