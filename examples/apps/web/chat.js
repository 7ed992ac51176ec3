// The chat widget of every page: a visitor writes, operators answer in any Jabber client.
import { Room } from "/room.js";
/* global Strophe */

const CHAT = "chat", PENDING = "chat.pending", OPEN = "chat.open", MOST_BYTES = 10 * 1024 * 1024;
const element = id => document.getElementById(id);
const box = element("chat"), log = element("chat-log"), status = element("chat-status");
const form = element("chat-form"), text = form.elements.text, file = element("chat-file");
const transport = new URLSearchParams(location.search).get("transport");
const kept = (store, key, otherwise) => JSON.parse(store.getItem(key) || "null") || otherwise;

let room = null, starting = null;
let chat = kept(localStorage, CHAT, null);
const pending = kept(sessionStorage, PENDING, []);

function make(name, content, className) {
  const made = document.createElement(name);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

function say(words) { status.textContent = words; }

function note(words) {
  log.append(make("p", words, "note"));
  log.scrollTop = log.scrollHeight;
}

// textContent, not innerHTML: what people write stays text.
function bubble({nick, mine, time, text: words, url}) {
  const made = make("div", "", mine ? "message mine" : "message");
  const when = make("time", time ? new Date(time).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"}) : "");
  const head = make("small", (mine ? "You" : nick) + " ");
  head.append(when);
  made.append(head, link(url) || make("div", words, "words"));
  return made;
}

// A link to a file; nothing for what is no address on the web.
function link(url) {
  let address, name;
  try {
    address = new URL(url);
    name = decodeURIComponent(address.pathname.split("/").pop());
  } catch { return null; }
  if (!/^https?:$/.test(address.protocol)) return null;
  const made = make("a", name || url);
  Object.assign(made, {href: url, target: "_blank", rel: "noopener noreferrer"});
  // Pictures from the website itself, and from nowhere else.
  if (address.hostname === location.hostname && /\.(png|jpe?g|gif|webp)$/i.test(name)) {
    const picture = document.createElement("img");
    Object.assign(picture, {src: address.pathname, alt: name, loading: "lazy"});
    made.replaceChildren(picture);
  }
  return made;
}

const show = {
  message(message) {
    log.insertBefore(bubble(message), log.querySelector(".pending"));
    log.scrollTop = log.scrollHeight;
    if (!message.mine && box.hidden) element("chat-open").classList.add("news");
  },
  // Messages on their way are shown at the end, paler.
  pending(messages) {
    sessionStorage.setItem(PENDING, JSON.stringify(messages));
    log.querySelectorAll(".pending").forEach(old => old.remove());
    for (const message of messages) {
      const made = bubble({...message, mine: true});
      made.classList.add("pending");
      log.append(made);
    }
    log.scrollTop = log.scrollHeight;
  },
  people(nicks) {
    say(nicks.length ? `${nicks.join(", ")} ${nicks.length === 1 ? "is" : "are"} here`
      : "An operator will be with you. You can already write.");
  },
  state(state, transportInUse) {
    box.dataset.state = state;
    if (transportInUse) box.dataset.transport = transportInUse;
    if (state === "joined") show.people([...room.people]);
    else say("Connecting again …");
  },
  ended() {
    forget();
    box.dataset.state = "ended";
    say("This chat has ended. Write to start a new one.");
  },
};

function forget() {
  localStorage.removeItem(CHAT);
  // Words that nobody got are there to be sent again.
  text.value ||= pending.map(message => message.text).join("\n");
  pending.length = 0;
  show.pending(pending);
  chat = room = null;
  element("chat-end").hidden = true;
}

function load(address) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    Object.assign(script, {src: address, onload: done, onerror: () => failed(new Error("a script is missing"))});
    document.head.append(script);
  });
}

// Join the chat that there is, or open one.
function start() {
  starting ||= begin().finally(() => { starting = null; });
  return starting;
}

async function begin() {
  if (room) return;
  if (!window.Strophe) {
    await load("/strophe.js");
    // The console is the website's.
    Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  }
  if (!chat) {
    say("Calling an operator …");
    const answer = await fetch("/rpc/chat", {method: "POST"});
    if (!answer.ok) throw new Error((await answer.json()).error);
    chat = await answer.json();
    localStorage.setItem(CHAT, JSON.stringify(chat));
    log.replaceChildren();
  }
  say("Connecting …");
  element("chat-end").hidden = false;
  show.pending(pending);
  room = new Room(chat, {pending, show, transport});
  room.run();
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    note(`That did not work: ${error.message}. Please try again.`);
  }
}

async function end() {
  const name = chat.room.split("@")[0], headers = {Authorization: "Bearer " + chat.token};
  const answer = await fetch(`/rpc/chat/${name}/close`, {method: "POST", headers});
  if (!answer.ok) throw new Error("the chat could not be closed");
  if (room) room.end();
  show.ended();
}

function toggle(open) {
  box.hidden = !open;
  element("chat-open").hidden = open;
  element("chat-open").classList.remove("news");
  sessionStorage.setItem(OPEN, JSON.stringify(open));
  if (!open) return;
  log.scrollTop = log.scrollHeight;
  text.focus();
}

form.addEventListener("submit", event => {
  event.preventDefault();
  const words = text.value.trim();
  if (words) attempt(async () => {
    await start();
    room.send(words);
    text.value = "";
  });
});
// Enter sends, Shift and Enter starts a line.
text.addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
file.addEventListener("change", () => {
  const chosen = file.files[0];
  file.value = "";
  if (chosen) attempt(async () => {
    if (chosen.size > MOST_BYTES) throw new Error("a file has at most 10 MB");
    await start();
    await room.sendFile(chosen);
  });
});
box.addEventListener("keydown", event => event.key === "Escape" && toggle(false));
element("chat-open").addEventListener("click", () => toggle(true));
element("chat-hide").addEventListener("click", () => toggle(false));
element("chat-end").addEventListener("click", () => attempt(end));
if (chat) attempt(start);
if (kept(sessionStorage, OPEN, false)) toggle(true);
