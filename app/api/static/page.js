// Submits, refreshes, cancels and deletes jobs. The server renders everything that is shown.

const POLL_SECONDS = 2;

document.documentElement.classList.add("js");

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

class Refused extends Error {}

// The detail of a problem contains the first of its errors; an error of the whole body has no pointer.
const isIn = (detail, error) => detail.includes(error.replace(/^: /, ""));

async function call(path, request) {
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Refused("The service does not respond.");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) location.reload(); // the session has ended: the page asks for the key
  const problem = await answer.json().catch(() => ({}));
  const detail = problem.detail ?? `The service answered with status ${answer.status}.`;
  const errors = (problem.errors ?? []).map((error) => `${error.pointer}: ${error.detail}`);
  throw new Refused([detail, ...errors.filter((error) => !isIn(detail, error))].join("\n"));
}

async function trying(alert, work) {
  alert.hidden = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    alert.textContent = error.message;
    alert.hidden = false;
  }
}

// A live part of the page

async function refresh(part) {
  const page = new DOMParser().parseFromString(await (await call(location.href)).text(), "text/html");
  const fresh = page.getElementById(part.id);
  part.replaceWith(fresh);
  return fresh;
}

async function follow(part) {
  while (part.dataset.live === "running") {
    try {
      if (part.dataset.job) await call(`${part.dataset.job}?wait=${POLL_SECONDS}`);
      else await pause(POLL_SECONDS);
      part = await refresh(part);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await pause(POLL_SECONDS);
    }
    if (part.querySelector(".chart")) location.reload(); // with the script of the charts
  }
}

// Cancel and delete

const ACTIONS = {
  cancel: (job) => call(`${job}/cancel`, { method: "POST" }),
  delete: async (job) => {
    if (!confirm("Delete this job, its texts and its results?")) return;
    await call(job, { method: "DELETE" });
    location.assign("/");
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  const part = button.closest("[data-job]");
  trying(part.querySelector("[role=alert]"), () => ACTIONS[button.dataset.do](part.dataset.job));
});

// A new job

async function textOf(file) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Refused(`${file.name} is not UTF-8.`);
  }
}

function parse(name, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refused(`${name} is not JSON: ${error.message}`);
  }
}

function listsOf(name, content, domain) {
  const lists = Array.isArray(content) ? { [domain]: content } : content;
  if (lists === null || typeof lists !== "object" || !Object.values(lists).every(Array.isArray))
    throw new Refused(`${name} must contain a list of texts, or an object with a list of texts for each domain.`);
  return lists;
}

async function textsOf(form) {
  const texts = new Map();
  const add = (domain, more) => texts.set(domain, [...(texts.get(domain) ?? []), ...more]);
  const domain = form.domain.value;
  if (form.text.value.trim()) add(domain, [form.text.value]);
  for (const file of form.files.files) {
    const text = await textOf(file);
    if (!file.name.toLowerCase().endsWith(".json")) {
      add(domain, [text]);
      continue;
    }
    for (const [name, list] of Object.entries(listsOf(file.name, parse(file.name, text), domain))) add(name, list);
  }
  if (!texts.size) throw new Refused("Write a text or choose a file.");
  return Object.fromEntries(texts);
}

async function submit(form) {
  const request = { model: form.model.value, texts: await textsOf(form) };
  const name = form.elements.namedItem("name").value.trim();
  if (name) request.name = name;
  const answer = await call("/v1/jobs", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  location.assign((await answer.json()).links.page);
}

document.getElementById("submit")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  await trying(form.querySelector("[role=alert]"), () => submit(form));
  button.disabled = false;
});

document.querySelectorAll("[data-live]").forEach(follow);
