// Submits, refreshes, cancels and deletes jobs. The server renders everything that is shown.

const POLL_SECONDS = 2;

document.documentElement.classList.add("js");

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

class Refused extends Error {
  constructor(message, errors = [], status = 0) {
    super(message);
    this.errors = errors;
    this.status = status;
  }
}

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
  throw new Refused([detail, ...errors.filter((error) => !isIn(detail, error))].join("\n"), problem.errors, answer.status);
}

async function trying(alert, work, describe = (error) => error.message) {
  alert.hidden = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    alert.textContent = describe(error);
    alert.hidden = false;
  }
}

// A live part of the page

async function refresh(part) {
  const page = new DOMParser().parseFromString(await (await call(location.href)).text(), "text/html");
  const fresh = page.getElementById(part.id);
  for (const box of part.querySelectorAll("[name=job]:checked"))
    fresh.querySelector(`[name=job][value="${CSS.escape(box.value)}"]`)?.setAttribute("checked", "");
  part.replaceWith(fresh);
  return fresh;
}

async function follow(part) {
  while (part.dataset.live === "running") {
    try {
      if (part.dataset.job) await call(`${part.dataset.job}?wait=${POLL_SECONDS}`);
      else await pause(POLL_SECONDS);
      if (!part.dataset.job && part.contains(document.activeElement)) continue; // a replaced list loses the focus
      part = await refresh(part);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 404) location.reload(); // the job was deleted
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

const form = document.getElementById("submit");
let dropped = []; // files with their paths in the folder that was dropped

function formData() {
  const data = new FormData(form);
  data.delete("file");
  for (const input of form.querySelectorAll("[type=file]"))
    for (const file of input.files) data.append("file", file, file.webkitRelativePath || file.name);
  for (const { file, path } of dropped) data.append("file", file, path);
  return data;
}

const LEAVE_OUT = "To leave such rows out, choose so at “Rows that cannot be used” under “Options”.";

// Errors of a field are shown next to it, all others above the buttons.
function showErrors(error) {
  const rest = [];
  for (const { pointer, detail } of error.errors) {
    const field = pointer.startsWith("?") && form.querySelector(`[name=${CSS.escape(pointer.slice(1))}]`);
    if (!field) rest.push(pointer ? `${pointer}: ${detail}` : detail);
    else {
      const message = Object.assign(document.createElement("span"), { className: "field-error", textContent: detail });
      field.setAttribute("aria-invalid", "true");
      (field.closest("fieldset") ?? field.closest("label")).append(message);
      field.closest("details")?.setAttribute("open", "");
      field.focus();
    }
  }
  if (error.errors.some(({ pointer }) => /^[^/?]/.test(pointer))) rest.push(LEAVE_OUT); // the places of rows
  return rest.length ? rest.join("\n") : error.message;
}

function clearErrors() {
  form.querySelectorAll(".field-error").forEach((message) => message.remove());
  form.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
}

async function preview() {
  const answer = await call("/jobs/preview", { method: "POST", body: formData() });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.getElementById("preview").replaceWith(page.getElementById("preview"));
}

async function submit() {
  const headers = { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) };
  const answer = await call("/v1/jobs", { method: "POST", headers, body: formData() });
  const state = await answer.json();
  const notes = state.warnings.filter((warning) => warning.includes("is only an address"));
  if (notes.length) sessionStorage.setItem(state.links.page, notes.join("\n"));
  location.assign(state.links.page);
}

// What only the response to a submission says: the page of the job shows it in this tab.
const notes = sessionStorage.getItem(location.pathname);
if (notes) document.getElementById("job")?.before(Object.assign(document.createElement("p"), { className: "note", textContent: notes }));

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const work = event.submitter?.dataset.preview !== undefined ? preview : submit;
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  clearErrors();
  await trying(form.querySelector("[role=alert]"), work, showErrors);
  buttons.forEach((button) => (button.disabled = false));
});

// Dropped files and folders

const filesOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

const entriesOf = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));

async function read(entry) {
  if (entry.isFile) return [{ file: await filesOf(entry), path: entry.fullPath.replace(/^\//, "") }];
  const found = [];
  const reader = entry.createReader();
  for (let entries = await entriesOf(reader); entries.length; entries = await entriesOf(reader))
    for (const inner of entries) found.push(...(await read(inner)));
  return found;
}

form?.addEventListener("dragover", (event) => event.preventDefault());
form?.addEventListener("drop", async (event) => {
  event.preventDefault();
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  dropped = [...dropped, ...(await Promise.all(entries.map(read))).flat()];
  document.getElementById("dropped").textContent = `${dropped.length} dropped file${dropped.length === 1 ? "" : "s"}`;
});

document.querySelectorAll("[data-live]").forEach(follow);
