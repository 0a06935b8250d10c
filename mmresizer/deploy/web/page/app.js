// Resizes a picture in the browser, sends the small image, and shows what comes back.

const RUNTIME = "/runtime/";
const SECONDS = 30; // for an answer of the server
const TOP = 5;
const CAMERA_FAULTS = {
  NotAllowedError: "The browser does not allow this page to use the camera.",
  NotFoundError: "There is no camera.",
  TypeError: "The camera needs a page from localhost, or by https.", // no mediaDevices
};

const $ = (id) => document.getElementById(id);

let loading = null; // a promise of the model and its resizer
let latest = 0; // number of the newest picture
let stop = new AbortController(); // of the newest picture
let turn = Promise.resolve(); // the runtime does one thing at a time

/** An error whose message is a sentence for the user. */
class Fault extends Error {}

// The server.

async function ask(path, kind = "json", options = {}) {
  const limit = AbortSignal.timeout(SECONDS * 1000);
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
  try {
    const answer = await fetch(path, { ...options, signal });
    if (answer.ok) return await answer[kind]();
    const { error } = await answer.json().catch(() => ({}));
    const reason = error ?? `status ${answer.status}`;
    const fault = new Fault(`The server refused the request: ${reason}.`);
    throw Object.assign(fault, { status: answer.status });
  } catch (e) {
    if (e instanceof Fault) throw e;
    if (e.name === "TimeoutError") throw new Fault(`There was no answer in ${SECONDS} seconds.`);
    throw new Fault("The server does not answer: check that it is running, and try again.");
  }
}

async function send(path, body, signal) {
  const start = performance.now();
  const { classes } = await ask(path, "json", { method: "POST", body, signal });
  return { classes, ms: performance.now() - start };
}

async function load() {
  const model = await ask("/model");
  describe(model);
  const content = await ask("/resizer.onnx", "arrayBuffer");
  const ort = await import(`${RUNTIME}ort.wasm.min.mjs`).catch(() => {
    throw new Fault(
      "The runtime for the resizer is missing: run npm ci --prefix " +
        "mmresizer/deploy/web, restart the server, and load this page again.",
    );
  });
  Object.assign(ort.env.wasm, { wasmPaths: RUNTIME, numThreads: 1 });
  const options = { executionProviders: ["wasm"] };
  try {
    const session = await ort.InferenceSession.create(new Uint8Array(content), options);
    return { ...model, ort, session };
  } catch (e) {
    throw new Fault(`The resizer does not start in this browser (${e.message}).`);
  }
}

/** Loads the model once, and again after a failure. */
function ready() {
  loading ??= load().catch((e) => {
    loading = null;
    throw e;
  });
  return loading;
}

// Preparing, as the card's test_pipeline says.

function draw(source, width, height, box = [0, 0, source.width, source.height]) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(source, ...box, 0, 0, width, height);
  return canvas;
}

const toPair = (size) => (Array.isArray(size) ? size : [size, size]);

/** Rounds halves to even, as Python does. */
function roundEven(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

function resizeTo(picture, { scale, keep_ratio: keepsRatio }) {
  if (keepsRatio) throw new Fault("This page cannot do the step Resize with keep_ratio.");
  return draw(picture, ...toPair(scale));
}

function resizeEdge(picture, { scale, edge = "short" }) {
  const { width: w, height: h } = picture;
  const setsWidth = { short: w < h, long: w > h, width: true, height: false }[edge];
  const follow = (ratio) => Math.max(1, Math.trunc(scale * ratio));
  return setsWidth ? draw(picture, scale, follow(h / w)) : draw(picture, follow(w / h), scale);
}

function cropCenter(picture, { crop_size: cropSize }) {
  const sides = [picture.width, picture.height];
  const wanted = toPair(cropSize);
  const start = sides.map((side, n) => Math.max(0, roundEven((side - wanted[n]) / 2)));
  const size = sides.map((side, n) => Math.min(wanted[n], side - start[n]));
  return draw(picture, ...size, [...start, ...size]);
}

const STEPS = {
  LoadImageFromFile: (picture) => picture,
  Resize: resizeTo,
  ResizeEdge: resizeEdge,
  CenterCrop: cropCenter,
  PackInputs: (picture) => picture,
};

function prepare(bitmap, steps) {
  let picture = bitmap;
  for (const step of steps ?? []) {
    const name = step.type.split(".").pop();
    if (!Object.hasOwn(STEPS, name)) throw new Fault(`This page does not know the step ${name}.`);
    picture = STEPS[name](picture, step);
  }
  return picture === bitmap ? draw(bitmap, bitmap.width, bitmap.height) : picture;
}

async function decode(file) {
  try {
    // Colour profiles are ignored, as in training.
    return await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    const name = file.name ? `The file ${file.name}` : "This";
    throw new Fault(`${name} is not a picture that this browser can read.`);
  }
}

/** Returns the pixels of a canvas, RGB. */
function readPixels(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Uint8Array(data.filter((_, n) => n % 4 < 3));
}

// Resizing.

function transpose(values, rows, columns) {
  const result = new Uint8Array(values.length);
  values.forEach((value, n) => {
    result[(n % columns) * rows + Math.floor(n / columns)] = value;
  });
  return result;
}

async function resize({ ort, session }, pixels, { width, height }) {
  const start = performance.now();
  const planes = transpose(pixels, width * height, 3);
  const images = new ort.Tensor("uint8", planes, [1, 3, height, width]);
  const { output } = await session.run({ images });
  const [, channels, h, w] = output.dims;
  const levels = transpose(output.data, channels, h * w);
  return { levels, channels, height: h, width: w, ms: performance.now() - start };
}

/** Resizes after the resizings before. */
function resizeInTurn(...args) {
  const work = () => resize(...args);
  turn = turn.then(work, work);
  return turn;
}

/** Returns the model's channel of a colour, RGB, or the other way round. */
const toModel = (c, { normalization }) => (normalization?.order === "BGR" ? 2 - c : c);

/** Returns |learned - interpolated| of three channels, in the model's units. */
function subtract(levels, pixels, card) {
  const { mean, std } = card.normalization ?? {};
  const [low, high] = card.resizer.output_range;
  const pick = (list, c, missing) => list?.[c] ?? list?.[0] ?? missing;
  return Float32Array.from(levels, (level, n) => {
    const c = n % 3;
    const [least, most] = [pick(low, c), pick(high, c)];
    const value = (pixels[n - c + toModel(c, card)] - pick(mean, c, 0)) / pick(std, c, 1);
    return Math.abs(least + (level * (most - least)) / 255 - value);
  });
}

async function process(file, comparesPhoto, signal) {
  const model = await ready();
  const start = performance.now();
  const bitmap = await decode(file);
  const prepared = prepare(bitmap, model.card.test_pipeline);
  const image = readPixels(prepared);
  bitmap.close();
  const ms = { prepare: performance.now() - start };
  const small = await resizeInTurn(model, image, prepared);
  signal.throwIfAborted();
  const top = Math.min(TOP, model.classes.length);
  const query = `split_id=${model.split_id}&codec=raw&top=${top}`;
  const answers = await Promise.allSettled([
    send(`/classify?${query}`, small.levels, signal),
    comparesPhoto ? send(`/classify_photo?top=${top}`, file, signal) : null,
  ]);
  const [ofSmall, ofPhoto] = answers.map((answer) => answer.value);
  Object.assign(ms, { resize: small.ms, small: ofSmall?.ms, photo: ofPhoto?.ms });
  const faults = answers.flatMap((answer) => answer.reason ?? []);
  return { file, card: model.card, prepared, image, small, ofSmall, ofPhoto, faults, ms };
}

// Showing.

const count = (n) => `${n.toLocaleString("en")} bytes`;
const percent = (score) => `${(100 * score).toFixed(1)}%`;

function make(tag, fields, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
}

function describe({ card, samples }) {
  $("name").textContent = card.name;
  document.title = `Learned image resizer ${card.name}`;
  const [, channels, h, w] = card.output.shape;
  $("size").textContent = `, ${count(channels * h * w)},`;
  $("samples").hidden = samples.length === 0;
  $("sample-list").replaceChildren(...samples.map(makeSample));
}

function makeSample(src, n) {
  const image = make("img", { src, alt: `Sample ${n + 1}` });
  const button = make("button", { type: "button" }, image);
  button.addEventListener("click", () => run((signal) => ask(src, "blob", { signal })));
  return make("li", {}, button);
}

/** Shows a picture; valueAt gives the value of a pixel and a channel, RGB. */
function paint(id, { width, height }, text, valueAt) {
  const canvas = $(id);
  const image = new ImageData(width, height);
  image.data.forEach((_, n, data) => {
    data[n] = n % 4 < 3 ? valueAt(Math.floor(n / 4), n % 4) : 255;
  });
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.classList.toggle("enlarged", canvas.clientWidth > width);
  const [title, caption] = canvas.nextElementSibling.children;
  caption.textContent = `${width} × ${height} pixels. ${text}`;
  canvas.ariaLabel = `${title.textContent}, ${caption.textContent}`;
}

function showPictures({ file, card, prepared, image, small }) {
  const { levels, channels } = small;
  const pixels = readPixels(draw(prepared, small.width, small.height));
  // Of other than three channels, the first is shown as grey, and nothing is compared.
  const isColour = channels === 3;
  const channel = (c) => (isColour ? toModel(c, card) : 0);
  $("pictures").style.setProperty("--ratio", prepared.width / prepared.height);
  $("difference").parentElement.hidden = !isColour;
  paint("prepared", prepared, `File of ${count(file.size)}.`, (n, c) => image[3 * n + c]);
  const unsent = `${count(pixels.length)}, not sent.`;
  paint("interpolated", small, unsent, (n, c) => pixels[3 * n + c]);
  const sent = `${count(levels.length)}, sent.`;
  paint("learned", small, sent, (n, c) => levels[channels * n + channel(c)]);
  if (isColour) showDifference(subtract(levels, pixels, card), small);
}

function showDifference(values, size) {
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  const text = `White is the largest difference, ${largest.toFixed(2)}. Not sent.`;
  // A pixel is as bright as the channel that differs most.
  const brightest = (n) => Math.max(...values.subarray(3 * n, 3 * n + 3));
  paint("difference", size, text, (n) => (255 * brightest(n)) / (largest || 1));
}

function makeClass({ name, score }) {
  const bar = make("span", { className: "bar" });
  bar.style.width = percent(score);
  return make("li", {}, make("span", {}, name), make("span", {}, percent(score)), bar);
}

function judge(small, photo) {
  if (!small) return "";
  const first = ([{ name, score }]) => `${name} (${percent(score)})`;
  const start = `The small image gives ${first(small)}`;
  if (!photo) return `${start}.`;
  const verb = small[0].index === photo[0].index ? "agrees" : "differs";
  return `${start}, the photograph gives ${first(photo)}: the first class ${verb}.`;
}

function show(outcome) {
  const { image, prepared: { height, width }, small: { levels }, ms } = outcome;
  const [small, photo] = [outcome.ofSmall?.classes, outcome.ofPhoto?.classes ?? null];
  const missing = outcome.faults.length ? "No answer." : "Not sent.";
  $("result").hidden = false; // before the canvases are measured
  showPictures(outcome);
  for (const [id, classes] of Object.entries({ small, photo })) {
    $(id).replaceChildren(...(classes?.map(makeClass) ?? [make("li", {}, missing)]));
  }
  for (const [key, value] of Object.entries(ms)) {
    $(`ms-${key}`).textContent = value?.toFixed(1) ?? "none";
  }
  $("status").textContent = judge(small, photo);
  // For tests: the newest run, its prepared RGB pixels, levels (channels last), answers.
  if (small) window.lastRun = { image, height, width, levels, small, photo, ms };
}

function fail(...errors) {
  const say = (e) => (e instanceof Fault ? e.message : `This page has a fault: ${e.message}.`);
  // Another model is served now, so the next picture needs its resizer.
  if (errors.some((e) => e.status === 409)) loading = null;
  $("error").textContent = [...new Set(errors.map(say))].join(" ");
}

/** Shows what a picture gives, unless a newer one has been chosen by then. */
async function run(getFile) {
  const mine = ++latest;
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  fail();
  $("status").textContent = "Working on the picture.";
  $("result").ariaBusy = "true";
  try {
    const outcome = await process(await getFile(signal), $("compare").checked, signal);
    if (mine !== latest) return;
    show(outcome);
    fail(...outcome.faults);
  } catch (e) {
    if (mine !== latest) return;
    $("result").hidden = true; // it is of another picture
    $("status").textContent = "";
    fail(e);
  }
  $("result").ariaBusy = "false";
}

// Where pictures come from.

/** Runs the first of some files. */
function runFirst([file], change = (same) => same) {
  if (file) run(() => change(file));
  else fail(new Fault("There is no picture file in what was dropped or pasted."));
}

function toJpeg(source, width, height) {
  const canvas = draw(source, width, height, [0, 0, width, height]);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

/** Makes a pasted bitmap, which arrives as PNG, a photograph. */
async function toPhotograph(file) {
  if (file.type !== "image/png") return file;
  const bitmap = await decode(file);
  return toJpeg(bitmap, bitmap.width, bitmap.height);
}

async function openCamera() {
  fail();
  try {
    const video = { facingMode: "environment" };
    const stream = await navigator.mediaDevices.getUserMedia({ video });
    closeCamera(); // it may have been opened twice
    $("video").srcObject = stream;
  } catch ({ name }) {
    fail(new Fault(CAMERA_FAULTS[name] ?? `The camera does not start (${name}).`));
    return;
  }
  $("camera").showModal();
  $("video").play().catch(() => null); // it was closed at once
}

function closeCamera() {
  $("video").srcObject?.getTracks().forEach((track) => track.stop());
  $("video").srcObject = null;
}

function takePicture() {
  const { videoWidth, videoHeight } = $("video");
  if (!videoWidth) return; // it has not started
  const picture = toJpeg($("video"), videoWidth, videoHeight);
  $("camera").close();
  run(() => picture);
}

function listen() {
  const on = (target, event, handle) => target.addEventListener(event, handle);
  on($("choose"), "click", () => $("file").click());
  on($("file"), "change", ({ target }) => {
    const files = [...target.files];
    target.value = ""; // so that the same file can be chosen again
    runFirst(files);
  });
  on($("open-camera"), "click", openCamera);
  on($("close-camera"), "click", () => $("camera").close());
  on($("camera"), "close", closeCamera);
  on($("take"), "click", takePicture);
  on(document, "paste", (event) => runFirst(event.clipboardData.files, toPhotograph));
  for (const name of ["dragover", "dragleave", "drop"]) {
    on(document, name, (event) => {
      event.preventDefault();
      document.body.classList.toggle("over", name === "dragover");
      if (name === "drop") runFirst(event.dataTransfer.files);
    });
  }
}

listen();
ready().catch(fail);
