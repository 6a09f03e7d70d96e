// The page: polls the conversation once a second, and sends what the customer writes or taps.

import { platform } from "./platforms.js";

const LARGEST_PICTURE = 2_500_000;
const RATES = {
  rate_429: "Rate limit (429)", rate_500: "Server error (500)", rate_502: "Proxy error (502)", rate_timeout: "Never answered",
  rate_reset: "Reset, not taken", rate_reset_after: "Taken, then reset", rate_failed: "Reported as failed",
  rate_duplicate: "Reports doubled", rate_late: "Reports late",
};
const $ = (id) => document.getElementById(id);
let shown = "";
let faultsOf = null;

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(body && body.error ? body.error.message : `Status ${response.status}`);
  return body;
}

const send = (method, path, body) =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

function tell(words, wrong = false) {
  $("news").textContent = words;
  $("news").classList.toggle("wrong", wrong);
}

/** The channel config that is chosen and the customer as its platform names them; null while there is none. */
function chosen() {
  const option = $("account").selectedOptions[0];
  if (!option) return null;
  const { channel, account } = option.dataset;
  const customer = platform(channel).person($("customer").value.trim(), account);
  return customer ? { channel, id: option.value, customer } : null;
}

async function loadAccounts() {
  const { items } = await ask("accounts");
  const list = $("account"), before = list.value;
  if (items.map((item) => item.id).join() === [...list.options].map((option) => option.value).join()) return;
  list.replaceChildren(...items.map((item) => {
    const option = new Option(`${item.name} (${item.channel}${item.account_id ? ` ${item.account_id}` : ""})`, item.id);
    Object.assign(option.dataset, { channel: item.channel, account: item.account_id || "" });
    return option;
  }));
  if (items.some((item) => item.id === before)) list.value = before;
  else changeAccount();
  tell(items.length ? "" : "No channel yet: create one first.");
}

function changeAccount() {
  const option = $("account").selectedOptions[0];
  if (!option) return;
  const words = platform(option.dataset.channel);
  $("customer").value = words.example;
  $("picture-part").hidden = !words.picture;
  $("picture").value = "";
  loadFaults().catch((error) => tell(error.message, true));
}

function offer({ title, line, url }) {
  if (url) {
    const link = Object.assign(document.createElement("a"), { textContent: title, target: "_blank", rel: "noopener noreferrer" });
    if (/^https?:\/\//i.test(url)) link.href = url;
    return link;
  }
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
  button.addEventListener("click", () => write(line));
  return button;
}

function bubble(item, channel) {
  const entry = document.createElement("li"), words = document.createElement("p"), when = document.createElement("small");
  const own = item.author === "customer";
  entry.className = item.author;
  words.textContent = item.text || "(not text)";
  when.textContent = `${own ? "You" : "Brand"}, ${new Date(item.at).toLocaleTimeString()}`;
  entry.append(words, when);
  if (own) return entry;
  const words_of = platform(channel), offers = words_of.offers({ ...item, payload: item.payload || {} });
  const file = words_of.file && words_of.file(item.payload || {});
  if (file) offers.push({ title: "Open the file", url: file });
  if (offers.length) {
    const row = Object.assign(document.createElement("div"), { className: "offers" });
    row.append(...offers.map(offer));
    entry.append(row);
  }
  return entry;
}

async function loadThread() {
  const who = chosen();
  if (!who) return;
  const query = new URLSearchParams({ channel: who.channel, channel_config_id: who.id, customer: who.customer });
  const { items, typing } = await ask(`thread?${query}`);
  $("typing").hidden = !typing;
  const key = JSON.stringify([who, items.map((item) => [item.author, item.n])]);
  if (key === shown) return;
  shown = key;
  $("thread").replaceChildren(...items.map((item) => bubble(item, who.channel)));
  $("thread").scrollTop = $("thread").scrollHeight;
}

async function write(line) {
  const who = chosen();
  if (!who) return false;
  try {
    await send("POST", `simulate/${who.channel}/${who.id}`, { ...line, from: who.customer, name: $("name").value.trim() || undefined });
    tell("");
    await loadThread();
    return true;
  } catch (error) {
    tell(error.message, true);
    return false;
  }
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32_768) text += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  return btoa(text);
}

/** What the form holds as a line; null where there is nothing to send. */
async function composed() {
  const text = $("text").value.trim(), file = $("picture").files[0], who = chosen();
  if (!file || !who) return text ? { text } : null;
  if (file.size > LARGEST_PICTURE) throw new Error("The picture is larger than 2.5 MB.");
  const picture = { text, type: file.type || "image/png", data: await base64(file) };
  return platform(who.channel).picture(picture);
}

$("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const line = await composed();
    if (line && await write(line)) {
      $("text").value = "";
      $("picture").value = "";
    }
  } catch (error) {
    tell(error.message, true);
  }
  $("text").focus();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("say").requestSubmit();
  }
});
$("account").addEventListener("change", changeAccount);

$("rates").append(...Object.entries(RATES).map(([name, title]) => {
  const part = document.createElement("div"), label = Object.assign(document.createElement("label"), { textContent: title });
  const input = Object.assign(document.createElement("input"), { type: "number", id: name, min: 0, max: 100, step: 1, value: 0 });
  label.htmlFor = name;
  part.append(label, input);
  return part;
}));

async function loadFaults() {
  const who = chosen();
  if (!who) return;
  const all = await ask("faults"), own = all[who.channel] || all["*"] || {};
  faultsOf = who.channel;
  for (const name of Object.keys(RATES)) $(name).value = Math.round((own[name] || 0) * 100);
  const on = Object.keys(RATES).filter((name) => own[name] > 0);
  $("in-force").textContent = on.length ? `In force on ${who.channel}: ${on.map((name) => RATES[name]).join(", ")}.` : `Everything works on ${who.channel}.`;
}

$("order").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!faultsOf) return;
  const rates = Object.fromEntries(Object.keys(RATES).map((name) => [name, Math.min(100, Math.max(0, Number($(name).value) || 0)) / 100]));
  try {
    await send("PUT", "faults", { channel: faultsOf, ...rates });
    await loadFaults();
  } catch (error) {
    $("in-force").textContent = error.message;
  }
});
$("clear").addEventListener("click", async () => {
  try {
    await ask("faults", { method: "DELETE" });
    await loadFaults();
  } catch (error) {
    $("in-force").textContent = error.message;
  }
});

async function tick() {
  try {
    await loadAccounts();
    await loadThread();
  } catch (error) {
    tell(error.message, true);
  }
  setTimeout(tick, 1000);
}
tick();
