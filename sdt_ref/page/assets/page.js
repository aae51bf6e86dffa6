"use strict";
/* Draws what the page holds as JSON, for one time step at a time. Nothing is computed here but sums over what is shown. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { stages, blocks, steps, scores, operations } = data;
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const number = (n) => n.toLocaleString("en");
  const percent = (x) => `${(100 * x).toFixed(1)} %`;
  const micro = (pj) => (pj / 1e6).toFixed(2);
  const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const byHook = Object.fromEntries(stages.map((stage) => [stage.hook, stage]));

  const state = { step: steps.length - 1, stage: 0, channel: -1, first: 0, block: 0, pick: -1, at: null, patch: null };
  const PER_PAGE = 64; // channels drawn at a time
  const SPIKE = [230, 159, 0];
  const RAMP = [[81, 18, 124], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]; // dark to light

  // --- what is packed -----------------------------------------------------------------------------------------------

  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

  /** Counts of one time step: {height, width, values}; of `packed_counts`, [T, H, W]. */
  function counts(packed) {
    const [, height, width] = packed.shape;
    if (!packed.values) {
      const raw = bytes(packed.data), n = packed.bytes;
      packed.values = new Float64Array(raw.length / n);
      for (let i = 0; i < raw.length; i++) packed.values[(i / n) | 0] += raw[i] * 256 ** (i % n);
    }
    const from = state.step * height * width;
    return { height, width, values: packed.values.subarray(from, from + height * width) };
  }

  /** A function of i that tells bit i of `packed_bits`. */
  function bits(holder, key) {
    const name = `${key} unpacked`;
    holder[name] ??= bytes(holder[key]);
    return (i) => (holder[name][i >> 3] >> (7 - (i & 7))) & 1;
  }

  /** Spikes of one channel of the sample at one time step: {height, width, values}. */
  function plane(stage, index, step = state.step) {
    const { height, width } = stage, n = height * width, bit = bits(stage.sample, "bits");
    const from = (step * stage.sample.channels.length + index) * n;
    return { height, width, values: Uint8Array.from({ length: n }, (_, i) => bit(from + i)) };
  }

  // --- pictures -----------------------------------------------------------------------------------------------------

  let grey = null; // the photo, without colours and pale
  function greyed(image) {
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      const [r, g, b] = pixels.data.subarray(i, i + 3);
      pixels.data.fill(((0.299 * r + 0.587 * g + 0.114 * b + 50) / 340) * 255, i, i + 3);
    }
    context.putImageData(pixels, 0, 0);
    return canvas;
  }

  const sizes = new Map();
  /** The grey photo at a size on the screen; most pictures have one of few sizes. */
  function greyAt(side) {
    if (!sizes.has(side)) {
      if (sizes.size > 8) sizes.clear();
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = side;
      const context = canvas.getContext("2d");
      context.imageSmoothingEnabled = grey.width > side;
      context.drawImage(grey, 0, 0, side, side);
      sizes.set(side, canvas);
    }
    return sizes.get(side);
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** Fit a canvas to its place on the screen; returns its context, in CSS pixels, or null where it is not shown. */
  function sized(canvas, height) {
    const width = canvas.clientWidth, scale = window.devicePixelRatio || 1;
    if (!width) return null;
    const high = height ?? width;
    for (const [side, length] of [["width", Math.round(width * scale)], ["height", Math.round(high * scale)]]) {
      if (canvas[side] !== length) canvas[side] = length; // setting it takes time
    }
    if (height !== undefined) canvas.style.height = `${high}px`;
    const context = canvas.getContext("2d");
    context.setTransform(canvas.width / width, 0, 0, canvas.height / high, 0, 0);
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, width, high);
    return context;
  }

  const DOTS = 7; // CSS pixels: cells of this size or more hold a square, and the photo shows around it
  const ALPHA = 150; // of smaller cells, which are filled: the photo shows through
  const inked = ([r, g, b]) => ((ALPHA << 24) | (b << 16) | (g << 8) | r) >>> 0; // a pixel as canvases keep it
  const SHADES = Uint32Array.from({ length: 256 }, (_, shade) => {
    const place = (shade / 255) * (RAMP.length - 1), i = Math.min(Math.floor(place), RAMP.length - 2);
    return inked(RAMP[i].map((from, k) => Math.round(from + (RAMP[i + 1][k] - from) * (place - i))));
  });

  const INKS = Array.from(SHADES, (ink) => `rgb(${ink & 255} ${(ink >> 8) & 255} ${(ink >> 16) & 255})`);
  const small = document.createElement("canvas"); // one pixel for each cell

  /** A square in the middle of each cell that has spikes: the more, the larger and lighter. */
  function dots(context, { width, values }, most, wide, high) {
    const scale = 1 / Math.max(1, most - 1);
    values.forEach((value, i) => {
      if (!value) return;
      const share = (value - 1) * scale, size = most === 1 ? 0.6 : 0.34 + 0.4 * Math.sqrt(share);
      context.fillStyle = most === 1 ? `rgb(${SPIKE.join(" ")})` : INKS[Math.round(255 * share)];
      const left = ((i % width) + (1 - size) / 2) * wide, top = (Math.floor(i / width) + (1 - size) / 2) * high;
      context.fillRect(left, top, size * wide, size * high);
    });
  }

  /** Every cell that has spikes, filled. */
  function fill(context, { height, width, values }, most, side) {
    const cells = new ImageData(width, height), pixels = new Uint32Array(cells.data.buffer);
    const orange = inked(SPIKE), scale = 255 / Math.max(1, most - 1);
    for (let i = 0; i < values.length; i++) {
      if (values[i]) pixels[i] = most === 1 ? orange : SHADES[Math.round((values[i] - 1) * scale)];
    }
    small.width = width;
    small.height = height;
    small.getContext("2d").putImageData(cells, 0, 0);
    context.drawImage(small, 0, 0, side, side);
  }

  /** Lay values over the photo: those above zero from dark to light up to `most`; single spikes, most = 1, in orange. */
  function overlay(canvas, shown, most, mark) {
    const context = sized(canvas);
    if (!context) return;
    const { height, width } = shown, side = canvas.clientWidth, wide = side / width, high = side / height;
    if (grey) context.drawImage(greyAt(canvas.width), 0, 0, side, side);
    if (Math.min(wide, high) >= DOTS) dots(context, shown, most, wide, high);
    else fill(context, shown, most, side);
    if (mark && mark.row < height && mark.column < width) {
      for (const [style, line] of [["#000", 4], ["#fff", 2]]) {
        context.strokeStyle = style;
        context.lineWidth = line;
        context.strokeRect(mark.column * wide, mark.row * high, wide, high);
      }
    }
  }

  /** Draw cells in rows: values 0 or 1, in `across` columns. */
  function cells(context, values, across, left, top, size, on, off, gap) {
    values.forEach((value, i) => {
      context.fillStyle = value ? on : off;
      context.fillRect(left + (i % across) * size, top + Math.floor(i / across) * size, size - gap, size - gap);
    });
  }

  /** Cells in a row of a stage without positions: a head of the attention, or, where heads are long, of a square. */
  function columnsOf(stage) {
    const block = blocks.find((each) => each.stages.mask === stage.hook), n = stage.channels;
    return block && block.heads ** 2 * 2 >= n ? n / block.heads : Math.ceil(Math.sqrt(n));
  }

  /** Cells of all channels of a stage without positions, as large as the canvas allows. */
  function field(canvas, stage, step, marked = -1) {
    const context = sized(canvas);
    if (!context) return;
    const bit = bits(stage.sample, "bits"), n = stage.channels, side = canvas.clientWidth;
    const across = columnsOf(stage), down = Math.ceil(n / across), size = side / Math.max(across, down);
    context.fillStyle = colour("--card");
    context.fillRect(0, 0, side, side);
    const values = Array.from({ length: n }, (_, c) => bit(step * n + c));
    cells(context, values, across, 0, 0, size, colour("--spike"), colour("--quiet"), size > 4 ? 1 : 0.4);
    if (marked >= 0) {
      context.strokeStyle = colour("--ink");
      context.lineWidth = 2;
      context.strokeRect((marked % across) * size - 1, Math.floor(marked / across) * size - 1, size + 1, size + 1);
    }
  }

  // --- charts -------------------------------------------------------------------------------------------------------

  function svg(tag, attributes = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function chart(holder, height, label, parts) {
    const width = holder.clientWidth || 300;
    holder.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label }));
    parts(holder.firstChild, width);
  }

  function drawScores() {
    const holder = find("#chart"), height = 300, top = 12, bottom = height - 34, left = 40;
    const last = steps.length - 1, ends = scores.score.map((line) => line[last]);
    const label = `Probability over time: ${scores.labels.map((name, k) => `${name} ends at ${percent(ends[k])}`).join(", ")}`;
    chart(holder, height, label, (root, width) => {
      const longest = Math.max(...scores.labels.map((name) => name.length));
      const right = width - clamp(longest * 7.5 + 18, 60, width * 0.36);
      const x = (i) => (last ? left + ((right - left) * i) / last : (left + right) / 2);
      const peak = Math.max(...scores.score.flat()), tick = [0.02, 0.05, 0.1].find((size) => size * 5 >= peak) ?? 0.2;
      const highest = Math.max(1, Math.ceil(peak / tick)) * tick;
      const y = (share) => bottom - ((bottom - top) * share) / highest;
      for (let i = 0; i <= Math.round(highest / tick); i++) {
        const share = tick * i;
        root.append(svg("line", { x1: left, x2: right, y1: y(share), y2: y(share), class: "grid" }));
        root.append(svg("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, `${Math.round(100 * share)} %`));
      }
      const every = Math.ceil(steps.length / 8);
      steps.forEach((t, i) => {
        if (i % every === 0 || i === last) root.append(svg("text", { x: x(i), y: bottom + 18, "text-anchor": "middle" }, t));
      });
      root.append(svg("text", { x: (left + right) / 2, y: bottom + 33, "text-anchor": "middle" }, "after time step"));
      root.append(svg("line", { x1: x(state.step), x2: x(state.step), y1: top, y2: bottom, class: "cursor" }));
      const order = ends.map((_, k) => k).sort((a, b) => ends[b] - ends[a]);
      let free = top - 8;
      const places = {};
      for (const k of order) places[k] = free = Math.max(y(ends[k]), free + 15);
      const over = Math.max(0, free - bottom);
      scores.score.forEach((line, k) => {
        const style = { stroke: `var(--s${k})`, fill: "none", "stroke-width": k ? 2 : 3.5, "stroke-dasharray": k < 4 ? "none" : "6 3" };
        root.append(svg("polyline", { points: line.map((share, i) => `${x(i)},${y(share)}`).join(" "), ...style }));
        line.forEach((share, i) => {
          const now = i === state.step;
          if (steps.length <= 16 || now) root.append(svg("circle", { cx: x(i), cy: y(share), r: now ? 5 : 2.5, fill: `var(--s${k})` }));
        });
        const place = places[k] - over;
        root.append(svg("line", { x1: right + 4, x2: right + 12, y1: y(ends[k]), y2: place, stroke: `var(--s${k})` }));
        const text = svg("text", { x: right + 15, y: place + 4, class: k ? "" : "strong" }, shortened(scores.labels[k], (width - right - 15) / 6.6));
        text.append(svg("title", {}, scores.labels[k]));
        root.append(text);
      });
    });
  }

  const shortened = (text, most) => (text.length <= most ? text : `${text.slice(0, Math.max(3, most - 1))}\u2026`);

  function drawHistogram(stage) {
    const { lowest, highest, firing, counts: table } = stage.membrane, now = table[state.step];
    const most = Math.max(1, ...table.flat()), n = now.length, height = 170, bottom = height - 34, top = 22;
    const fires = now.slice(firing).reduce((a, b) => a + b, 0), total = now.reduce((a, b) => a + b, 0);
    const label = `Membranes at time step ${steps[state.step]}: ${number(fires)} of ${number(total)} reach the threshold`;
    chart(find("#histogram"), height, label, (root, width) => {
      const x = (bin) => 4 + ((width - 8) * bin) / n;
      now.forEach((count, bin) => {
        if (!count) return;
        const high = Math.max(1, ((bottom - top) * count) / most);
        const from = lowest + ((highest - lowest) * bin) / n, to = lowest + ((highest - lowest) * (bin + 1)) / n;
        const where = bin === 0 ? `below ${to}` : bin === n - 1 ? `from ${from} up` : `${from} to ${to}`;
        const bar = svg("rect", { x: x(bin) + 0.5, width: x(1) - x(0) - 1, y: bottom - high, height: high, fill: bin < firing ? "var(--blue)" : "var(--spike)" });
        bar.append(svg("title", {}, `${plural(count, "neuron")}: ${where} thresholds`));
        root.append(bar);
      });
      root.append(svg("line", { x1: x(0), x2: x(n), y1: bottom, y2: bottom, class: "grid" }));
      root.append(svg("line", { x1: x(firing), x2: x(firing), y1: top - 6, y2: bottom + 4, stroke: "var(--ink)", "stroke-width": 1.5 }));
      root.append(svg("text", { x: x(firing) - 6, y: top, "text-anchor": "end" }, `silent: ${number(total - fires)}`));
      root.append(svg("text", { x: x(firing) + 6, y: top, class: "strong" }, `fire: ${number(fires)}`));
      for (let value = lowest; value <= highest; value++) {
        const anchor = value === lowest ? "start" : value === highest ? "end" : "middle";
        const sign = value === lowest ? "\u2264 " : value === highest ? "\u2265 " : "";
        root.append(svg("text", { x: x(((value - lowest) * n) / (highest - lowest)), y: bottom + 16, "text-anchor": anchor }, `${sign}${value}`.replace("-", "\u2212")));
      }
      root.append(svg("text", { x: width / 2, y: bottom + 32, "text-anchor": "middle" }, "membrane, in thresholds, before the reset"));
    });
  }

  function drawRates(stage) {
    const height = 92, bottom = height - 20, top = 18, most = Math.max(...stage.rate) || 1;
    const label = `Firing rates: ${stage.rate.map((rate, i) => `${rate.toFixed(3)} at time step ${steps[i]}`).join(", ")}`;
    chart(find("#rates"), height, label, (root, width) => {
      const wide = Math.min(72, width / steps.length);
      stage.rate.forEach((rate, i) => {
        const now = i === state.step, high = Math.max(1, ((bottom - top) * rate) / most);
        root.append(svg("rect", { x: i * wide + 2, width: wide - 4, y: bottom - high, height: high, rx: 2, fill: now ? "var(--spike)" : "var(--quiet)", stroke: "var(--soft)", "stroke-width": 0.5 }));
        if (wide < 36 && !now) return;
        root.append(svg("text", { x: (i + 0.5) * wide, y: bottom - high - 5, "text-anchor": "middle", class: now ? "strong" : "" }, rate.toFixed(3)));
        root.append(svg("text", { x: (i + 0.5) * wide, y: bottom + 15, "text-anchor": "middle" }, steps[i]));
      });
    });
  }

  // --- what changes with the time step ------------------------------------------------------------------------------

  function drawTime() {
    const i = state.step, t = steps[i], slider = find("#step");
    const best = scores.score.map((line, k) => [line[i], k]).sort((a, b) => b[0] - a[0]);
    slider.value = i;
    slider.setAttribute("aria-valuetext", `time step ${t}`);
    find("#time").textContent = `time step ${t}`;
    find("#sofar").textContent = `so far: ${scores.labels[best[0][1]]}, ${percent(best[0][0])}`;
    for (const node of all(".at")) node.textContent = `at time step ${t}`;
    find("#ranking").replaceChildren(...best.slice(0, 6).map(([score, k]) => {
      const item = document.createElement("li"), name = document.createElement("b"), value = document.createElement("span");
      const track = document.createElement("span"), fill = document.createElement("span");
      name.textContent = scores.labels[k];
      value.className = "value";
      value.textContent = percent(score);
      track.className = "track";
      fill.className = "fill";
      fill.style.width = percent(score).replace(" ", "");
      fill.style.background = `var(--s${k})`;
      track.append(fill);
      item.append(name, value, track);
      return item;
    }));
    drawScores();
  }

  function drawStages() {
    for (const button of all(".stage")) {
      const stage = stages[button.dataset.stage], rate = stage.rate[state.step];
      find(".rate", button).textContent = rate.toFixed(3);
      button.setAttribute("aria-pressed", Number(button.dataset.stage) === state.stage);
      button.setAttribute("aria-label", `${stage.group}, ${stage.name}: firing rate ${rate.toFixed(3)}`);
    }
    // in a second turn: a text that changes and then a size that is asked for lay out the whole page
    for (const button of all(".stage")) {
      const stage = stages[button.dataset.stage], canvas = find("canvas", button);
      if (stage.map) overlay(canvas, counts(stage.map), stage.map.max);
      else field(canvas, stage, state.step);
    }
  }

  function drawDetail() {
    const stage = stages[state.stage], i = state.step, chosen = stage.sample.channels;
    find("#detail-title").textContent = stage.group === stage.name ? stage.name : `${stage.group}: ${stage.name}`;
    find("#sentence").textContent = stage.sentence;
    find("#rate").textContent = stage.rate[i].toFixed(3);
    find("#spikes").textContent = number(stage.spikes[i]);
    find("#mean-rate").textContent = stage.mean_rate.toFixed(3);
    find("#neurons").textContent = number(stage.channels * stage.height * stage.width);
    find("#previous").disabled = state.stage === 0;
    find("#next").disabled = state.stage === stages.length - 1;
    for (const pane of all(".mapped")) pane.hidden = !stage.map;
    find(".rastered").hidden = Boolean(stage.map);
    find("#membraned").hidden = !stage.membrane;
    if (stage.map) drawMap(stage, chosen);
    else drawRaster(stage);
    if (stage.membrane) drawHistogram(stage);
    drawRates(stage);
  }

  function drawMap(stage, chosen) {
    const one = state.channel >= 0, map = find("#map"), block = one ? 1 : stage.map.block;
    const shown = one ? plane(stage, state.channel) : counts(stage.map), most = one ? 1 : stage.map.max;
    const name = one ? `Channel ${chosen[state.channel]}` : `All ${number(stage.channels)} channels`;
    const size = `${stage.height} x ${stage.width} positions`;
    find("#map-title").textContent = name;
    find("#all").hidden = !one;
    if (state.at) state.at = { row: clamp(state.at.row, 0, shown.height - 1), column: clamp(state.at.column, 0, shown.width - 1) };
    overlay(map, shown, Math.max(most, one ? 1 : 2), state.at);
    const total = shown.values.reduce((a, b) => a + b, 0);
    map.setAttribute("aria-label", `${name} over the photo: ${plural(total, "spike")} at ${size}. Arrow keys move.`);
    const where = state.at && `row ${state.at.row}, column ${state.at.column}: ${plural(shown.values[state.at.row * shown.width + state.at.column], "spike")}`;
    const cell = block > 1 ? `; a cell adds up ${block} x ${block}` : "";
    find("#map-note").textContent = where || `${plural(total, "spike")} at ${size}${cell}; at most ${shown.values.reduce((a, b) => Math.max(a, b), 0)} in one cell`;

    const from = Math.min(state.first, Math.max(0, chosen.length - 1)), n = Math.min(PER_PAGE, chosen.length - from);
    const many = chosen.length > PER_PAGE, tiles = find("#tiles"), across = 8, gap = 3, side = (tiles.clientWidth + gap) / across;
    const sampled = chosen.length < stage.channels ? `, ${number(chosen.length)} of ${number(stage.channels)} kept` : "";
    find("#tiles-title").textContent = many ? `Channels ${chosen[from]} to ${chosen[from + n - 1]}${sampled}` : `Channel by channel${sampled}`;
    for (const button of [find("#fewer"), find("#more")]) button.hidden = !many;
    find("#fewer").disabled = from === 0;
    find("#more").disabled = from + n >= chosen.length;
    const context = sized(tiles, Math.ceil(n / across) * side - gap);
    if (!context) return;
    small.width = stage.width;
    small.height = stage.height;
    const silent = colour("--quiet");
    for (let k = 0; k < n; k++) {
      const { values } = plane(stage, from + k), left = (k % across) * side, top = Math.floor(k / across) * side, inner = side - gap;
      const pixels = new ImageData(stage.width, stage.height), [r, g, b] = SPIKE;
      values.forEach((value, p) => value && pixels.data.set([r, g, b, 255], 4 * p));
      small.getContext("2d").putImageData(pixels, 0, 0);
      context.fillStyle = silent;
      context.fillRect(left, top, inner, inner);
      context.imageSmoothingEnabled = stage.width > inner;
      context.drawImage(small, left, top, inner, inner);
      if (from + k === state.channel) {
        context.strokeStyle = colour("--ink");
        context.lineWidth = 2;
        context.strokeRect(left + 1, top + 1, inner - 2, inner - 2);
      }
    }
    tiles.setAttribute("aria-label", `Channels ${chosen[from]} to ${chosen[from + n - 1]}, spikes at each position; arrow keys choose one`);
  }

  function drawRaster(stage) {
    const canvas = find("#raster"), n = stage.channels, bit = bits(stage.sample, "bits"), width = canvas.clientWidth;
    const label = 26, fits = Math.max(16, Math.floor((width - label) / 7));
    const even = Array.from({ length: fits }, (_, i) => fits - i).find((each) => n % each === 0); // rows of equal length
    const across = even > fits / 3 ? even : Math.min(n, fits), size = Math.min((width - label) / across, 14);
    const down = Math.ceil(n / across), tall = Math.max(down * size, 14) + 8, context = sized(canvas, steps.length * tall);
    if (!context) return;
    steps.forEach((t, i) => {
      context.fillStyle = i === state.step ? colour("--ink") : colour("--soft");
      context.font = `${i === state.step ? "bold " : ""}12px system-ui, sans-serif`;
      context.fillText(t, 4, i * tall + 11);
      if (i === state.step) context.fillRect(label - 7, i * tall, 3, tall - 8);
      const values = Array.from({ length: n }, (_, c) => bit(i * n + c));
      cells(context, values, across, label, i * tall, size, colour("--spike"), colour("--quiet"), size > 3 ? 1 : 0.3);
    });
    const block = blocks.find((each) => each.stages.mask === stage.hook);
    find("#raster-heads").textContent = block ? `, in order; ${block.heads} heads of ${n / block.heads} channels` : "";
    canvas.setAttribute("aria-label", `Raster of ${number(n)} neurons over ${plural(steps.length, "time step")}: ${stage.spikes.map((s, i) => `${number(s)} fire at ${steps[i]}`).join(", ")}`);
  }

  // --- attention ----------------------------------------------------------------------------------------------------

  /** What one picture of the attention shows: {height, width, values}, and the most that it can have. */
  function part(block, name) {
    if (name === "passing") {
      if (state.pick >= 0) return [plane(byHook[block.stages.masked], state.pick), 1];
      return [counts(block.passing), Math.max(2, block.passing.max)];
    }
    const stage = byHook[block.stages[name]];
    if (!stage.map) return [{ height: 1, width: 1, values: [stage.spikes[state.step]] }, stage.channels];
    return state.pick >= 0 ? [plane(stage, state.pick), 1] : [counts(stage.map), Math.max(2, stage.map.max)];
  }

  function opens(block, channel) {
    const C = byHook[block.stages.mask].channels;
    return bits(block, "mask")(state.step * C + channel) === 1;
  }

  function drawAttention() {
    const block = blocks[state.block], i = state.step, chosen = byHook[block.stages.q].sample.channels;
    const one = state.pick >= 0, channel = one ? chosen[state.pick] : -1, mask = byHook[block.stages.mask];
    for (const button of all("[data-block]")) button.setAttribute("aria-pressed", Number(button.dataset.block) === state.block);
    find("#every").setAttribute("aria-pressed", !one);
    find("#single").setAttribute("aria-pressed", one);
    find(".pick").hidden = find("#open").hidden = !one;
    find("#pick").max = chosen.length - 1;
    find("#pick").value = Math.max(0, state.pick);
    find("#pick").setAttribute("aria-valuetext", one ? `channel ${channel}` : "all channels");
    find("#picked").textContent = one ? `${channel}: ${opens(block, channel) ? "open" : "closed"}` : "";
    for (const canvas of all("canvas[data-part]")) {
      const name = canvas.dataset.part, caption = find("figcaption", canvas.parentNode);
      if (name === "mask") {
        field(canvas, mask, i, channel);
        caption.textContent = one ? `channel ${channel} is ${opens(block, channel) ? "open" : "closed"}` : `${number(block.open[i])} of ${plural(mask.channels, "channel")} open`;
        canvas.setAttribute("aria-label", `Mask of block ${block.block}: ${caption.textContent}`);
        continue;
      }
      const [shown, most] = part(block, name), total = shown.values.reduce((a, b) => a + b, 0);
      overlay(canvas, shown, most, state.patch);
      if (one) caption.textContent = `${plural(total, "spike")} in channel ${channel}`;
      else if (name === "passing") {
        const share = block.q[i] ? `, ${percent(block.passed[i] / block.q[i])} of Q` : "";
        const n = byHook[block.stages.q].height * byHook[block.stages.q].width;
        caption.textContent = `${plural(block.passed[i], "spike")} pass${block.passed[i] === 1 ? "es" : ""}${share}, in ${number(block.tokens[i])} of ${plural(n, "patch").replace("patchs", "patches")}`;
      } else caption.textContent = plural(block[name][i], "spike");
      canvas.setAttribute("aria-label", `${find("h3", canvas.parentNode).textContent.trim()}, over the photo: ${caption.textContent}. Arrow keys move over patches.`);
    }
    if (state.patch) {
      const { row, column } = state.patch;
      const read = (name) => { const [shown] = part(block, name); return number(shown.values[row * shown.width + column] ?? 0); };
      find("#patch").textContent = `Patch in row ${row}, column ${column}: K ${read("k")}, V ${read("v")}, both ${read("kv")}; Q ${read("q")}, of which ${read("passing")} pass${one ? ` (channel ${channel} alone)` : ""}`;
    }
  }

  // --- operations ---------------------------------------------------------------------------------------------------

  function drawOperations() {
    const i = state.step, most = Math.max(...operations.layers.flatMap((layer) => layer.picojoules.steps)) || 1;
    for (const row of all("#layers [data-layer]")) {
      const layer = operations.layers[row.dataset.layer], spent = layer.picojoules.steps[i], mac = layer.mac.steps[i];
      const rate = layer.reads && layer.reads.steps[i], analog = !layer.reads && layer.mac.all > 0;
      find(".reads", row).textContent = rate === null ? (analog ? "pixels" : "") : rate.toFixed(3);
      find(".ops", row).textContent = mac ? `${number(mac)} \u00d7 and +` : number(layer.ac.steps[i]);
      find(".uj", row).textContent = micro(spent);
      for (const meter of all(".meter", row)) meter.style.width = `${((100 * spent) / most).toFixed(2)}%`;
    }
  }

  // --- what people do -----------------------------------------------------------------------------------------------

  function drawAll() {
    drawTime();
    drawStages();
    drawDetail();
    drawAttention();
    drawOperations();
  }

  function goTo(step) {
    const next = clamp(step, 0, steps.length - 1);
    if (next === state.step) return;
    state.step = next;
    drawAll();
  }

  /** Look closer at a stage: the card opens below its row, and what `held` shows stays where it is on the screen. */
  function choose(stage, held) {
    Object.assign(state, { stage: clamp(stage, 0, stages.length - 1), channel: -1, first: 0, at: null });
    const before = held?.getBoundingClientRect().top, focused = document.activeElement;
    const button = find(`.stage[data-stage="${state.stage}"]`), row = button.parentNode, box = row.getBoundingClientRect();
    button.closest(".strip").append(find("#detail"));
    const { left, right } = button.getBoundingClientRect();
    row.scrollLeft += Math.max(0, right - box.right) - Math.max(0, box.left - left);
    drawStages();
    drawDetail();
    if (held) window.scrollBy(0, held.getBoundingClientRect().top - before);
    if (focused?.disabled) find("#previous:enabled, #next:enabled")?.focus({ preventScroll: true });
    else if (find("#detail").contains(focused)) focused.focus({ preventScroll: true });
  }

  /** Let a canvas be pointed at and walked over; `size` tells its rows and columns, `act` takes the cell and
   * whether it was met by 'point', 'click' or 'key'. */
  function walkable(canvas, size, here, act) {
    const cell = (event) => {
      const { rows, columns } = size(), box = canvas.getBoundingClientRect();
      const row = clamp(Math.floor(((event.clientY - box.top) / box.height) * rows), 0, rows - 1);
      return { row, column: clamp(Math.floor(((event.clientX - box.left) / box.width) * columns), 0, columns - 1) };
    };
    canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && act(cell(event), "point"));
    canvas.addEventListener("click", (event) => act(cell(event), "click"));
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      const { rows, columns } = size(), from = here();
      act(from ? { row: clamp(from.row + move[0], 0, rows - 1), column: clamp(from.column + move[1], 0, columns - 1) } : { row: 0, column: 0 }, "key");
      event.preventDefault();
    });
  }

  const same = (a, b) => a && b && a.row === b.row && a.column === b.column;

  let playing = 0;
  function play(on) {
    clearInterval(playing);
    playing = 0;
    if (on) {
      if (state.step === steps.length - 1) goTo(0);
      playing = setInterval(() => (state.step < steps.length - 1 ? goTo(state.step + 1) : play(false)), 900);
    }
    find("#play").setAttribute("aria-pressed", on);
    find("#play .word").textContent = on ? "Pause" : "Play";
    find("#play [aria-hidden]").textContent = on ? "\u23f8\ufe0e" : "\u25b6\ufe0e";
  }

  const KEY = "sdt_ref report theme";
  const wantsDark = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = (() => { try { return localStorage.getItem(KEY); } catch { return null; } })();
  let theme = stored === "dark" || stored === "light" ? stored : null;
  function applyTheme() {
    const shown = theme ?? (wantsDark.matches ? "dark" : "light"), other = shown === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = shown;
    find("#theme").textContent = other === "dark" ? "\u263e Dark" : "\u2600\ufe0e Light";
    find("#theme").setAttribute("aria-label", `Change to ${other} colours`);
  }

  find("#theme").addEventListener("click", () => {
    theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem(KEY, theme); } catch { /* not kept, then */ }
    applyTheme();
    drawAll();
  });
  wantsDark.addEventListener("change", () => { applyTheme(); drawAll(); });
  find("#step").addEventListener("input", (event) => { play(false); goTo(Number(event.target.value)); });
  find("#play").disabled = steps.length === 1;
  find("#play").addEventListener("click", () => play(!playing));
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest?.("input, select, textarea, canvas");
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (busy || !by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    play(false);
    goTo(state.step + by);
  });

  for (const button of all(".stage")) {
    button.addEventListener("click", () => choose(Number(button.dataset.stage), button));
  }
  find("#previous").addEventListener("click", () => choose(state.stage - 1, find("#detail")));
  find("#next").addEventListener("click", () => choose(state.stage + 1, find("#detail")));
  find("#all").addEventListener("click", () => { state.channel = -1; state.at = null; drawDetail(); });
  find("#fewer").addEventListener("click", () => { state.first -= PER_PAGE; drawDetail(); });
  find("#more").addEventListener("click", () => { state.first += PER_PAGE; drawDetail(); });
  walkable(find("#map"), () => {
    const stage = stages[state.stage];
    return state.channel >= 0 ? { rows: stage.height, columns: stage.width } : { rows: stage.map.shape[1], columns: stage.map.shape[2] };
  }, () => state.at, (at) => { if (!same(at, state.at)) { state.at = at; drawDetail(); } });
  find("#map").addEventListener("pointerleave", () => { state.at = null; drawDetail(); });

  const perPage = () => Math.min(PER_PAGE, stages[state.stage].sample.channels.length - state.first);
  walkable(find("#tiles"), () => ({ rows: Math.ceil(perPage() / 8), columns: 8 }), () => {
    const k = state.channel - state.first;
    return state.channel < 0 || k < 0 || k >= PER_PAGE ? null : { row: Math.floor(k / 8), column: k % 8 };
  }, ({ row, column }, how) => {
    const k = row * 8 + column;
    if (k >= perPage() || how === "point") return;
    state.channel = state.first + k;
    state.at = null;
    drawDetail();
  });

  for (const button of all("[data-block]")) {
    button.addEventListener("click", () => { state.block = Number(button.dataset.block); drawAttention(); });
  }
  find("#every").addEventListener("click", () => { state.pick = -1; drawAttention(); });
  find("#single").addEventListener("click", () => { if (state.pick < 0) nextOpen(); });
  find("#pick").addEventListener("input", (event) => { state.pick = Number(event.target.value); drawAttention(); });
  find("#open").addEventListener("click", nextOpen);

  /** Go to the next channel whose mask is open, of those that the page holds. */
  function nextOpen() {
    const block = blocks[state.block], chosen = byHook[block.stages.q].sample.channels, n = chosen.length;
    const order = Array.from({ length: n }, (_, k) => (Math.max(state.pick, -1) + 1 + k) % n);
    state.pick = order.find((k) => opens(block, chosen[k])) ?? Math.max(0, state.pick);
    drawAttention();
  }

  for (const canvas of all("canvas[data-part]:not([role=img])")) {
    walkable(canvas, () => {
      const [shown] = part(blocks[state.block], canvas.dataset.part);
      return { rows: shown.height, columns: shown.width };
    }, () => state.patch, (patch) => { if (!same(patch, state.patch)) { state.patch = patch; drawAttention(); } });
  }

  find(".part.mask canvas").addEventListener("click", (event) => { // the slider is the way there for the keyboard
    const block = blocks[state.block], mask = byHook[block.stages.mask], chosen = byHook[block.stages.q].sample.channels;
    const across = columnsOf(mask), cells = Math.max(across, Math.ceil(mask.channels / across));
    const box = event.target.getBoundingClientRect(), place = (at, side) => Math.floor((at / side) * cells);
    const channel = place(event.clientY - box.top, box.height) * across + place(event.clientX - box.left, box.width);
    const far = (k) => Math.abs(chosen[k] - channel);
    state.pick = chosen.reduce((best, _, k) => (far(k) < far(best) ? k : best), 0);
    drawAttention();
  });

  let waiting = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(drawAll); });

  applyTheme();
  const image = new Image();
  image.onload = image.onerror = () => {
    grey = image.naturalWidth ? greyed(image) : null;
    choose(0);
    drawAll();
    document.documentElement.dataset.ready = "yes";
  };
  image.src = find("#seen").src;
})();
