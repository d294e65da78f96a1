// Draws the charts of a job from the numbers in the page, and reads them by mouse and by keyboard.

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a67c00", "#56b4e9", "#6b4fa0", "#7a7a7a"];
const SYMBOLS = ["circle", "rect", "triangle", "diamond"];
const DASHES = ["solid", "dashed", "dotted"];
const LINES_WITH_BANDS = 4; // more bands hide each other
const DOMINANT = 3; // a layer this many times larger than all others is drawn at the edge
const ALIKE = 0.8; // values whose smallest is more than this share of the largest
const COLD = ["#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"];
const WARM = ["#f1eef6", "#a6bddb", "#3690c0", "#045a8d", "#023858"];

const ROW_HEIGHT = 22;
const FONT_SIZE = 12;
const LABEL_HEIGHT = 16;
const PAIR = " − "; // between the names of two domains
const MOST_OF_WIDTH = 0.45; // of a map, for the names of its rows
const [LEGEND_ICON, LEGEND_GAP, LEGEND_ROWS, LEGEND_ROW_HEIGHT] = [30, 20, 3, 32];

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function roundedUp(value) {
  const step = 10 ** Math.floor(Math.log10(value)) / 5;
  return Number((Math.ceil((1.02 * value) / step) * step).toPrecision(2));
}

const measure = document.createElement("canvas").getContext("2d");
measure.font = `${FONT_SIZE}px ${getComputedStyle(document.body).fontFamily}`;
function widthOf(text) {
  return Math.ceil(measure.measureText(text).width) + 1;
}

const known = (values) => values.filter((value) => value != null); // also missing where a series is shorter
function shown(value) {
  if (value == null) return "no value";
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3));
}

function reading(chart, series, place) {
  const value = chart.series[series].values[place];
  const { name, texts, low, high } = chart.series[series];
  const interval = low[place] == null || high[place] == null ? "" : ` [${shown(low[place])}, ${shown(high[place])}]`;
  const unit = chart.unit ? ` ${chart.unit}` : "";
  const number = value === null ? shown(value) : `${shown(value)}${interval}${unit}`;
  const muted = chart.series[series].muted[place] ? ", not significant" : "";
  if (chart.tokens.length) return `Token ${place}, ${chart.tokens[place]}, ${name}: ${number}`;
  const { at } = chart.series[series];
  const depth = at ? ` (relative depth ${shown(at[place])})` : "";
  return `Layer ${chart.layers[place]}${depth}, ${name}: ${number}, n = ${texts}${muted}`;
}

// Lines

// The largest value that the axis must show: a layer that dominates a series does not compress all others.
// `places` contains the dominant layer of each series, or -1. Null if the axis shows all values.
function limits(chart) {
  const ends = chart.series.map(({ values }) => {
    const sizes = values.map((value) => Math.abs(value ?? 0));
    const [first, second] = [...sizes].sort((a, b) => b - a);
    const dominates = second > 0 && first >= DOMINANT * second;
    return { place: dominates ? sizes.indexOf(first) : -1, rest: dominates ? second : first };
  });
  const cut = { places: ends.map(({ place }) => place), reach: 1.15 * Math.max(...ends.map(({ rest }) => rest)) };
  return chart.series.some((series, index) => isCut(cut, index, cut.places[index], series.values[cut.places[index]])) ? cut : null;
}

// Whether an axis that includes 0 would hide the differences.
function differLittle(chart) {
  const values = known(chart.series.flatMap((series) => series.values));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return Math.min(low / high, high / low) > ALIKE;
}

// A value at its place on the axis: that of its layer, or its relative depth.
const placed = ({ at }, place, value) => (at ? [at[place], value] : value);
const placeOf = (at, place) => (at ? at[place] : place);

function lineSeries(chart, cut) {
  return chart.series.map((series, index) => ({
    name: series.name,
    type: "line",
    data: series.values.map((value, place) => point(chart, index, value, place, cut, series.muted[place])),
    symbol: SYMBOLS[index % SYMBOLS.length],
    symbolSize: chart.layers.length > 40 ? 3 : 6,
    color: COLOURS[index % COLOURS.length],
    lineStyle: { width: 1.6, type: DASHES[Math.floor(index / COLOURS.length) % DASHES.length] },
    emphasis: { focus: "series" },
  }));
}

function point(chart, index, value, place, cut, muted) {
  const series = chart.series[index];
  if (isCut(cut, index, place, value)) {
    const sign = Math.sign(value);
    const edges = atEdge(chart, cut, sign);
    const across = placeOf(series.at, place);
    const here = edges.get(across);
    return {
      value: placed(series, place, sign * cut.reach),
      symbol: "triangle",
      symbolRotate: value < 0 ? 180 : 0,
      symbolSize: 9,
      label: {
        show: index === here[0].index,
        position: place < chart.layers.length / 2 ? "right" : "left",
        offset: [0, sign * LABEL_HEIGHT * [...edges.keys()].indexOf(across)], // apart from the one of another layer
        formatter: rangeOf(here.map((each) => each.value)),
        color: style("--ink"),
      },
    };
  }
  const data = placed(series, place, value);
  return muted ? { value: data, itemStyle: { color: style("--card"), borderColor: style("--quiet"), borderWidth: 1 } } : data;
}

// Whether a value is drawn at the edge: it is in a dominant layer, and the axis does not reach it.
const isCut = (cut, series, place, value) => value != null && cut?.places[series] === place && Math.abs(value) > cut.reach;

// What is at the upper or lower edge: the values that lie there at the same place of the axis.
function atEdge(chart, cut, sign) {
  const found = new Map();
  chart.series.forEach(({ values, at }, index) => {
    const place = cut.places[index];
    if (!isCut(cut, index, place, values[place]) || Math.sign(values[place]) !== sign) return;
    const across = placeOf(at, place);
    found.set(across, [...(found.get(across) ?? []), { index, value: values[place] }]);
  });
  return found;
}

// "17.2", or "16.6 to 17.4".
function rangeOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)].map(shown);
  return low === high ? low : `${low} to ${high}`;
}

function bands(chart, cut) {
  if (chart.series.length > LINES_WITH_BANDS) return [];
  const within = (value) => (cut ? Math.max(-cut.reach, Math.min(cut.reach, value)) : value);
  return chart.series
    .map((series, index) => ({ series, index }))
    .filter(({ series }) => series.low.length)
    .map(({ series, index }) => {
      const places = series.low.map((_, place) => place).filter((place) => series.low[place] !== null);
      const across = (place) => (series.at ? series.at[place] : place);
      const ends = places.map((place) => [across(place), within(series.low[place]), within(series.high[place])]);
      const edge = (api, end) => ends.map((place) => api.coord([place[0], place[end]]));
      return {
        type: "custom",
        silent: true,
        z: 1,
        tooltip: { show: false },
        data: ends,
        encode: { x: 0, y: [1, 2] }, // the axis includes the intervals
        renderItem: ({ dataIndex }, api) =>
          dataIndex === 0 && {
            type: "polygon",
            shape: { points: [...edge(api, 2), ...edge(api, 1).reverse()] },
            style: { fill: COLOURS[index % COLOURS.length], opacity: 0.15 },
          },
      };
    });
}

function lines(chart, drawingWidth) {
  const cut = limits(chart);
  const names = chart.series.map(({ name }) => name);
  const [space, widest] = [drawingWidth - 2 * LEGEND_GAP, Math.max(...names.map(widthOf))];
  const rows = legendRows(names, space);
  const all = frame(chart);
  return {
    ...all,
    grid: { ...all.grid, top: all.grid.top + LEGEND_ROW_HEIGHT * (rows > LEGEND_ROWS ? 0 : rows - 1) },
    legend: {
      show: names.length > 1,
      data: names,
      type: rows > LEGEND_ROWS ? "scroll" : "plain",
      top: 0,
      [rows === 1 ? "right" : "left"]: LEGEND_GAP,
      width: space,
      itemGap: LEGEND_GAP,
      textStyle: {
        color: style("--ink"),
        ...(widest > space - LEGEND_ICON ? { width: space - LEGEND_ICON, overflow: "truncate" } : {}),
      },
    },
    xAxis: chart.series.some(({ at }) => at) ? depthAxis() : layerAxis(chart),
    yAxis: valueAxis(chart.unit, cut ? { max: roundedUp(cut.reach), ...withoutLabelAtEdge() } : { scale: differLittle(chart) }),
    series: [...bands(chart, cut), ...lineSeries(chart, cut)],
  };
}

// The number of rows of a legend: names that do not fit next to each other continue in the next row.
function legendRows(names, space) {
  let [rows, used] = [1, 0];
  for (const name of names) {
    const width = LEGEND_ICON + Math.min(widthOf(name), space - LEGEND_ICON);
    if (used > 0 && used + width > space) [rows, used] = [rows + 1, 0];
    used += width + LEGEND_GAP;
  }
  return rows;
}

function frame(chart) {
  return {
    animation: false,
    aria: { enabled: true },
    textStyle: { fontFamily: "inherit", color: style("--ink") },
    grid: { left: 12, right: 24, top: chart.series.length > 1 ? 56 : 28, bottom: 28, containLabel: true },
    tooltip: { trigger: "item", renderMode: "richText", confine: true, formatter: (item) => textOf(chart, item) },
  };
}

const axisStyle = () => ({
  nameTextStyle: { color: style("--quiet"), align: "left" },
  axisLabel: { color: style("--quiet") },
  axisLine: { lineStyle: { color: style("--quiet") } },
  splitLine: { lineStyle: { color: style("--line") } },
});

const layerAxis = (chart) => ({
  ...axisStyle(),
  type: "category",
  data: chart.tokens.length ? chart.tokens.map((token, place) => `${place}: ${token}`) : chart.layers.map(String),
  name: chart.tokens.length ? "token" : "layer",
  nameLocation: "middle",
  nameGap: 28,
  nameTextStyle: { color: style("--quiet") },
});

const depthAxis = () => ({ ...layerAxis({ tokens: [], layers: [] }), type: "value", min: 0, max: 1, name: "relative depth" });

// The edge is near the last round number, and their labels would touch.
const withoutLabelAtEdge = () => ({ axisLabel: { ...axisStyle().axisLabel, showMaxLabel: false } });

// With `scale`, the axis does not need to include 0.
const valueAxis = (name, more) => ({ ...axisStyle(), type: "value", name, ...more });

const textOf = (chart, item) => {
  if (chart.kind === "points") return bothReadings(chart, item.dataIndex);
  const series = chart.series.findIndex(({ name }) => name === item.seriesName);
  return series < 0 ? reading(chart, item.value[1], item.value[0]) : reading(chart, series, item.dataIndex);
};

// Maps

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];

// Few tokens, and a layer that dominates, do not compress the others.
function reachOfRows(chart) {
  const rows = chart.series.map(({ values }) => known(values).map(Math.abs)).filter((row) => row.length);
  const [first, second] = rows.map((row) => quantile(row, 0.95)).sort((a, b) => b - a);
  return second > 0 && first >= DOMINANT * second ? 1.15 * second : quantile(rows.flat(), 0.95);
}

function map(chart, drawingWidth) {
  const values = known(chart.series.flatMap((series) => series.values));
  const reach = chart.tokens.length ? reachOfRows(chart) : (limits(chart)?.reach ?? Math.max(...values.map(Math.abs)));
  const diverging = chart.kind === "diverging_map" || Math.min(...values) < 0;
  const low = diverging ? -reach : Math.min(...values);
  const rows = chart.series.map(({ name }) => name);
  const labels = rows.map((name) => shortened(name, MOST_OF_WIDTH * drawingWidth));
  const width = Math.max(...labels.map(widthOf));
  const columns = layerAxis(chart);
  return {
    ...frame(chart),
    grid: { left: width + 16, right: 24, top: 12, bottom: 84 },
    xAxis: { ...columns, name: chart.unit ? `${columns.name}; colours in ${chart.unit}` : columns.name },
    yAxis: {
      ...axisStyle(),
      type: "category",
      data: rows,
      inverse: true,
      axisLabel: { color: style("--quiet"), formatter: (_, row) => labels[row] },
    },
    visualMap: {
      min: low,
      max: reach,
      calculable: false,
      orient: "horizontal",
      left: "center",
      bottom: 0,
      text: [atEnd(values, reach, "≥"), atEnd(values, low, "≤")],
      textStyle: { color: style("--ink") },
      inRange: { color: diverging ? COLD : WARM },
    },
    series: [
      {
        type: "heatmap",
        data: chart.series.flatMap((series, row) =>
          series.values.map((value, place) => cell(value, place, row, series.muted[place])),
        ),
        emphasis: { itemStyle: { borderColor: style("--ink"), borderWidth: 2 } },
      },
    ],
  };
}

// A name that fits into a width. Both names of a pair are shortened, so that pairs can be told apart.
function shortened(name, width) {
  if (widthOf(name) <= width) return name;
  const parts = name.split(PAIR);
  const share = (width - widthOf(PAIR) * (parts.length - 1)) / parts.length;
  return parts.map((part) => cutTo(part, share)).join(PAIR);
}

function cutTo(text, width) {
  if (widthOf(text) <= width) return text;
  let length = Math.ceil((text.length * width) / widthOf(text));
  while (length > 1 && widthOf(`${text.slice(0, length)}…`) > width) length -= 1;
  return `${text.slice(0, length)}…`;
}

// The number at an end of the bar of colours; values beyond it have the same colour.
function atEnd(values, end, sign) {
  const beyond = sign === "≥" ? Math.max(...values) > end : Math.min(...values) < end;
  return beyond ? `${sign} ${shown(end)}` : shown(end);
}

const cell = (value, place, row, muted) => ({
  value: [place, row, value ?? "-"],
  ...(muted ? { visualMap: false, itemStyle: { color: "transparent", borderColor: style("--line") } } : {}),
});

// Points

const bothReadings = (chart, place) => `${reading(chart, 0, place)}\n${reading(chart, 1, place)}`;

// An axis of points. Where one layer dominates, its point is at the edge, so that the others lie apart.
function pointAxis(chart, series) {
  const cut = limits({ layers: chart.layers, series: [series] });
  const rest = known(series.values.filter((_, place) => place !== cut?.places[0]));
  const reach = cut && roundedUp(cut.reach);
  const isLogarithmic = Math.min(...rest) > 0 && Math.max(...rest) > 10 * Math.min(...rest);
  return { cut, reach, isLogarithmic, at: (value, place) => (isCut(cut, 0, place, value) ? Math.sign(value) * reach : value) };
}

function points(chart) {
  const [across, up] = chart.series;
  const [x, y] = chart.series.map((series) => pointAxis(chart, series));
  const isAtEdge = (place) => isCut(x.cut, 0, place, across.values[place]) || isCut(y.cut, 0, place, up.values[place]);
  const label = (place) =>
    isAtEdge(place)
      ? `${chart.layers[place]} at ${shown(across.values[place])}; ${shown(up.values[place])}`
      : String(chart.layers[place]);
  const scale = x.isLogarithmic ? { type: "log", min: ({ min }) => roundedUp(min / 2) } : { type: "value", scale: true };
  return {
    ...frame(chart),
    grid: { left: 12, right: 24, top: 28, bottom: 28, containLabel: true },
    xAxis: {
      ...axisStyle(),
      ...(x.cut ? withoutLabelAtEdge() : {}),
      ...scale,
      name: x.isLogarithmic ? `${across.name} (logarithmic scale)` : across.name,
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: { color: style("--quiet") },
      max: x.reach ?? (x.isLogarithmic ? ({ max }) => roundedUp(max) : null),
    },
    yAxis: valueAxis(up.name, { scale: true }),
    series: [
      {
        type: "scatter",
        data: chart.layers.map((_, place) => ({
          value: [x.at(across.values[place], place), y.at(up.values[place], place)],
          ...(isAtEdge(place) ? { symbol: "triangle" } : {}),
          label: { formatter: label(place), position: x.at(across.values[place], place) === x.reach ? "left" : "right" },
        })),
        symbolSize: 10,
        color: COLOURS[0],
        label: { show: true, color: style("--ink") },
        labelLayout: { hideOverlap: true },
        emphasis: { scale: 1.6 },
      },
    ],
  };
}

// Reading by keyboard

const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };

function readByKeyboard(section, drawing, chart, instance) {
  const output = section.querySelector(".reading");
  let [series, place] = [0, -1];
  drawing.addEventListener("focus", () => {
    if (place < 0) output.textContent = "Use the arrow keys to read single values.";
  });
  const inside = (value, count) => Math.max(0, Math.min(count - 1, value));
  drawing.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (event.key === "Home") place = 0;
    else if (event.key === "End") place = Infinity;
    else if (step) [series, place] = [series + step[0], place + step[1]];
    else return;
    event.preventDefault();
    series = inside(series, chart.series.length);
    place = inside(place, chart.series[series].values.length);
    output.textContent = chart.kind === "points" ? bothReadings(chart, place) : reading(chart, series, place);
    highlight(chart, instance, series, place);
  });
  drawing.addEventListener("blur", () => instance.dispatchAction({ type: "downplay" }));
}

function highlight(chart, instance, series, place) {
  const isMap = chart.kind.endsWith("map");
  const of = isMap || chart.kind === "points" ? { seriesIndex: 0 } : { seriesName: chart.series[series].name };
  instance.dispatchAction({ type: "downplay" });
  instance.dispatchAction({ type: "highlight", ...of, dataIndex: isMap ? series * chart.layers.length + place : place });
}

// All charts of the page

const DRAW = { lines, points, map, diverging_map: map };

function dataOf(section) {
  const data = JSON.parse(section.querySelector("script").textContent);
  return data.same_as ? { ...dataOf(document.getElementById(`chart-${data.same_as}`)), kind: data.kind } : data;
}

function draw(section) {
  const chart = dataOf(section);
  const drawing = section.querySelector(".drawing");
  if (chart.kind.endsWith("map")) drawing.style.height = `${130 + ROW_HEIGHT * Math.max(4, chart.series.length)}px`;
  const instance = echarts.init(drawing, null, { renderer: "svg" });
  const fill = () => {
    try {
      instance.setOption(DRAW[chart.kind](chart, drawing.clientWidth), true);
    } catch (error) {
      // The other charts must be drawn all the same.
      console.error(`${section.id}: ${error}`);
      section.querySelector(".reading").textContent = "This chart cannot be drawn.";
    }
  };
  fill();
  readByKeyboard(section, drawing, chart, instance);
  return { instance, fill };
}

let drawn = [];

function drawAll() {
  drawn.forEach(({ instance }) => instance.dispose());
  drawn = [...document.querySelectorAll(".chart")].map(draw);
}

addEventListener("resize", () =>
  drawn.forEach(({ instance, fill }) => {
    instance.resize();
    fill(); // the width of names depends on that of the chart
  }),
);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

// The selection is kept in the address, and the server renders what it selects.

const form = document.getElementById("selection");

async function show() {
  const query = new URLSearchParams(new FormData(form));
  const boxes = form.querySelectorAll("[name=domain]");
  const allBoxes = [...boxes].every((box) => box.checked);
  if (allBoxes && form.dataset.keepDomains === undefined) query.delete("domain");
  const address = `${form.getAttribute("action")}?${query}`;
  const answer = await fetch(address);
  const alert = document.querySelector("#charts").previousElementSibling;
  alert.hidden = answer.ok;
  if (!answer.ok) {
    alert.textContent = (await answer.json()).detail;
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  history.replaceState(null, "", address);
  document.getElementById("charts").replaceWith(page.getElementById("charts"));
  drawAll();
}

form.addEventListener("change", show);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
form.querySelector("button").hidden = true;

// The chart as it is shown

document.addEventListener("click", (event) => {
  const section = event.target.closest("[data-svg]")?.closest(".chart");
  if (!section) return;
  const instance = echarts.getInstanceByDom(section.querySelector(".drawing"));
  const href = instance.getDataURL({ type: "svg", backgroundColor: style("--card") });
  Object.assign(document.createElement("a"), { href, download: `${section.id}.svg` }).click();
});

// Sortable tables: a click on a heading sorts by the first number of each cell.

const number = (row, column) => parseFloat(row.cells[column].textContent.replaceAll(",", ""));

document.addEventListener("click", (event) => {
  const heading = event.target.closest(".sortable thead th");
  if (!heading) return;
  const downwards = heading.getAttribute("aria-sort") !== "descending";
  heading.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", downwards ? "descending" : "ascending");
  const body = heading.closest("table").tBodies[0];
  const value = (row) => number(row, heading.cellIndex);
  const rows = [...body.rows].sort((a, b) => (downwards ? value(b) - value(a) : value(a) - value(b)) || 0);
  body.append(...rows);
});

drawAll();
