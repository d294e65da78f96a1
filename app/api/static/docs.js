// Shows the description of the HTTP interface with Redoc, in the colours of docs.css.
// Without scripts, the page is a plain list.

const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();
const fontFamily = getComputedStyle(document.body).fontFamily;

const answer = (name) => ({ color: colour(`--${name}`), backgroundColor: colour(`--${name}-ground`) });

const theme = {
  spacing: { sectionVertical: 20 },
  breakpoints: { medium: "56rem", large: "80rem" },
  colors: {
    primary: { main: colour("--accent") },
    success: { main: colour("--good") },
    error: { main: colour("--bad") },
    gray: { 50: colour("--side"), 100: colour("--line") },
    text: { primary: colour("--ink"), secondary: colour("--quiet") },
    border: { dark: colour("--line"), light: colour("--line") },
    responses: { success: answer("good"), error: answer("bad") },
  },
  schema: {
    linesColor: colour("--line"),
    typeNameColor: colour("--quiet"),
    typeTitleColor: colour("--quiet"),
    requireLabelColor: colour("--bad"),
    nestedBackground: colour("--side"),
    arrow: { color: colour("--quiet") },
  },
  typography: {
    fontSize: "16px",
    fontFamily,
    headings: { fontFamily, fontWeight: "600" },
    code: { fontSize: "14px", color: colour("--ink"), backgroundColor: colour("--side"), wrap: true },
    links: { color: colour("--accent"), visited: colour("--accent"), hover: colour("--accent") },
  },
  sidebar: { backgroundColor: colour("--side"), textColor: colour("--ink"), activeTextColor: colour("--accent") },
  rightPanel: { backgroundColor: "#1b252e" },
};

// The examples call the service that shows them.
const EXAMPLE_ADDRESS = "http://127.0.0.1:8000";
const description = await (await fetch("/openapi.json")).text();

Redoc.init(
  JSON.parse(description.replaceAll(EXAMPLE_ADDRESS, location.origin)),
  {
    theme,
    scrollYOffset: "body > header",
    hideDownloadButtons: true,
    hideSchemaTitles: true,
    payloadSampleIdx: 2, // after curl and Python
    sanitize: true,
  },
  document.getElementById("reference"),
);
