// Draws the dashboard of deploy/grafana/ipvsd.json as a picture, because Grafana
// itself isn't in Debian: same panels, same places, and the answers that
// Debian's Prometheus gave to the panels' own queries in the lab.
//
//   go test ./test/scenario -run '^TestPrometheus$' -panels -outputdir /tmp
//   node docs/pictures/grafana.mjs /tmp/panels.json docs/pictures/grafana.png
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [, , answersFile, picture] = process.argv
const dashboard = JSON.parse(readFileSync(new URL('../../deploy/grafana/ipvsd.json', import.meta.url)))
const answers = JSON.parse(readFileSync(answersFile))

const column = 60, line = 36, gap = 8, head = 46
const colors = ['#73bf69', '#f2cc0c', '#8ab8ff', '#ff780a', '#f2495c', '#5794f2', '#b877d9', '#705da0', '#37872d', '#fade2a']
const named = { green: '#73bf69', red: '#f2495c', orange: '#ff9830', text: '#6e7077' }
const escape = (s) => String(s).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
const text = (x, y, s, more = '') => `<text x="${x}" y="${y}" ${more}>${escape(s)}</text>`

// name is a series' legend.
function name(target, metric) {
  return target.legendFormat.replace(/\{\{(\w+)\}\}/g, (_, l) => metric[l] ?? '').trim()
}

function unit(v, u) {
  const round = (x) => (Math.abs(x) >= 100 ? x.toFixed(0) : String(+x.toPrecision(3)))
  const scaled = (x, names, by) => {
    let i = 0
    for (; Math.abs(x) >= by && i < names.length - 1; i++) x /= by
    return round(x) + names[i]
  }
  switch (u) {
    case 's': return v !== 0 && Math.abs(v) < 1 ? round(v * 1000) + ' ms' : round(v) + ' s'
    case 'percentunit': return round(v * 100) + ' %'
    case 'bytes': return scaled(v, [' B', ' KiB', ' MiB', ' GiB'], 1024)
    case 'Bps': return scaled(v, [' B/s', ' kB/s', ' MB/s', ' GB/s'], 1000)
    case 'cps': return round(v) + ' c/s'
    case 'd': return round(v) + ' days'
  }
  return round(v)
}

// lines are a panel's series, with a legend, a color and points [seconds, value].
function lines(panel, answer) {
  const all = panel.targets.flatMap((target, i) => answer.answers[i].map((s) => ({
    label: name(target, s.metric), points: s.values.map(([t, v]) => [t, Number(v)]),
  })))
  if (panel.type !== 'stat') all.sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }))
  all.forEach((s, i) => { s.color = colors[i % colors.length] })
  return all
}

const x = (t, w, left) => left + (w - left) * (t - answers.from) / (answers.to - answers.from)

function times(w, h, left) {
  let out = ''
  for (let t = Math.ceil(answers.from / 60) * 60; t < answers.to; t += 60) {
    const at = x(t, w, left).toFixed(1)
    out += `<path d="M${at} 0V${h}" class="grid"/>` + text(at, h + 13, new Date(t * 1000).toISOString().slice(11, 16), 'text-anchor="middle" class="dim"')
  }
  return out
}

function legend(all, y, w, u) {
  let out = '', left = 4
  for (const s of all) {
    const label = s.label + (u === null ? '' : ' ' + unit(s.points.at(-1)[1], u))
    const width = 18 + label.length * 6.1
    if (left > 4 && left + width > w) { left = 4; y += 14 }
    out += `<rect x="${left}" y="${y - 8}" width="9" height="9" fill="${s.color}"/>` + text(left + 13, y, label)
    left += width
  }
  return out
}

// timeseries: lines, bars, stacked areas.
function timeseries(panel, all, w, h) {
  const { unit: u, custom = {} } = panel.fieldConfig.defaults
  const left = 58, rows = Math.ceil(all.reduce((n, s) => n + 60 + s.label.length * 6.1, 0) / w)
  const high = h - 22 - 14 * Math.min(rows, 4)
  if (custom.stacking) {
    const below = new Map()
    for (const s of all) s.points = s.points.map(([t, v]) => [t, v, below.set(t, (below.get(t) ?? 0) + v).get(t)])
  }
  const value = (p) => p[2] ?? p[1]
  const top = Math.max(...all.flatMap((s) => s.points.map(value)), 1e-9) * 1.08
  const bottom = Math.min(0, ...all.flatMap((s) => s.points.map(value)))
  const y = (v) => high - (high - 4) * (v - bottom) / (top - bottom)
  let out = times(w, high, left)
  for (let i = 0; i <= 3; i++) {
    const v = bottom + (top - bottom) * i / 3
    out += `<path d="M${left} ${y(v)}H${w}" class="grid"/>` + text(left - 5, y(v) + 4, unit(v, u), 'text-anchor="end" class="dim"')
  }
  for (const s of [...all].reverse()) {
    if (custom.drawStyle === 'bars') {
      for (const p of s.points) out += `<rect x="${x(p[0], w, left)}" y="${y(p[1])}" width="2.5" height="${y(0) - y(p[1])}" fill="${s.color}" fill-opacity=".8"/>`
      continue
    }
    let d = '', last = null
    for (const p of s.points) {
      const at = x(p[0], w, left).toFixed(1)
      d += last === null || p[0] - last > 10 ? `M${at} ${y(value(p)).toFixed(1)}` : (custom.lineInterpolation ? `H${at}V${y(value(p)).toFixed(1)}` : `L${at} ${y(value(p)).toFixed(1)}`)
      last = p[0]
    }
    if (custom.stacking) {
      const [first, end] = [x(s.points[0][0], w, left), x(last, w, left)]
      out += `<path d="${d.replace(/^M/, `M${first} ${y(0)}L`).replace(/(.)M/g, '$1L')}L${end} ${y(0)}Z" fill="${s.color}" fill-opacity=".35"/>`
    }
    out += `<path d="${d}" stroke="${s.color}" fill="none" stroke-width="1.4"/>`
  }
  return out + legend(all, high + 28, w, u ?? '')
}

function timeline(panel, all, w, h) {
  const states = panel.fieldConfig.defaults.mappings[0].options, left = 170
  const high = h - 40, row = Math.min(high / all.length, 40)
  let out = times(w, row * all.length, left), seen = new Set()
  all.forEach((s, i) => {
    out += text(left - 8, row * (i + .5) + 4, s.label, 'text-anchor="end"')
    s.points.forEach(([t, v], j) => {
      const end = j + 1 < s.points.length ? Math.min(s.points[j + 1][0], t + 6) : Math.min(t + 1, answers.to)
      seen.add(v)
      out += `<rect x="${x(t, w, left)}" y="${row * i + 3}" width="${x(end, w, left) - x(t, w, left) + .4}" height="${row - 6}" fill="${named[states[v].color]}" fill-opacity=".8"/>`
    })
  })
  const shown = [...seen].sort().map((v) => ({ label: states[v].text, color: named[states[v].color] }))
  return out + legend(shown, h - 6, w, null)
}

function stat(panel, all, w, h) {
  const steps = panel.fieldConfig.defaults.thresholds?.steps
  return all.map((s, i) => {
    const v = s.points.at(-1)[1], at = w * (i + .5) / all.length
    const color = steps ? named[steps.filter((t) => t.value === null || v >= t.value).at(-1).color] : '#73bf69'
    return text(at, h * .58, v, `text-anchor="middle" font-size="34" style="fill:${color}"`) + text(at, h - 8, s.label, 'text-anchor="middle" class="dim"')
  }).join('')
}

function bargauge(panel, all, w, h) {
  const u = panel.fieldConfig.defaults.unit, row = Math.min(h / all.length, 40)
  const top = Math.max(...all.map((s) => s.points.at(-1)[1]))
  return all.map((s, i) => {
    const v = s.points.at(-1)[1]
    return text(140, row * (i + .5) + 4, s.label, 'text-anchor="end"') +
      `<rect x="148" y="${row * i + 5}" width="${(w - 228) * v / top + 1}" height="${row - 10}" fill="#73bf69" fill-opacity=".75"/>` +
      text(154 + (w - 228) * v / top, row * (i + .5) + 4, unit(v, u))
  }).join('')
}

// heatmap: cumulative buckets, so that each row is less the one below.
function heatmap(all, w, h) {
  const bound = (s) => (s.label === '+Inf' ? Infinity : Number(s.label))
  all.sort((a, b) => bound(a) - bound(b))
  const left = 58, high = h - 20, row = high / all.length
  const cells = all.map((s, i) => new Map(s.points.map(([t, v]) => [t, v - (i ? all[i - 1].at.get(t) ?? 0 : (s.at = null, 0)), s.at ??= new Map(s.points)])))
  const most = Math.max(...cells.flatMap((c) => [...c.values()]))
  let out = times(w, high, left)
  all.forEach((s, i) => {
    const y = high - row * (i + 1)
    out += text(left - 5, y + row / 2 + 4, bound(s) === Infinity ? '+Inf' : unit(bound(s), 's'), 'text-anchor="end" class="dim"')
    for (const [t, v] of cells[i]) {
      if (v > 0) out += `<rect x="${x(t, w, left)}" y="${y}" width="${(w - left) / (answers.to - answers.from) + .4}" height="${row - 1}" fill="#ff9830" fill-opacity="${.15 + .85 * Math.sqrt(v / most)}"/>`
    }
  })
  return out
}

function draw(panel, answer, w, h) {
  const all = lines(panel, answer)
  if (all.length === 0) return text(w / 2, h / 2, 'No data', 'text-anchor="middle" class="dim"')
  switch (panel.type) {
    case 'stat': return stat(panel, all, w, h)
    case 'state-timeline': return timeline(panel, all, w, h)
    case 'bargauge': return bargauge(panel, all, w, h)
    case 'heatmap': return heatmap(all, w, h)
    case 'timeseries': return timeseries(panel, all, w, h)
  }
  throw new Error(`no way to draw a panel of type ${panel.type}`)
}

const width = 24 * column + gap
const height = Math.max(...dashboard.panels.map((p) => p.gridPos.y + p.gridPos.h)) * line + head + gap
let svg = text(gap * 2, 22, 'ipvsd', 'font-size="18"') +
  text(gap * 2, 39, 'drawn from the panels’ own queries by docs/pictures/grafana.mjs, not by Grafana; two directors in the lab: web2 fails, a weight is changed by hand, a bad reload, echo is drained, a planned failover, loadb2 dies and comes back', 'class="dim"')
dashboard.panels.forEach((panel, i) => {
  const { x: px, y: py, w, h } = panel.gridPos
  const place = `translate(${px * column + gap} ${py * line + head})`
  if (panel.type === 'row') {
    svg += `<g transform="${place}">${text(8, 23, panel.title, 'font-size="15" font-weight="bold"')}</g>`
    return
  }
  if (answers.panels[i].title !== panel.title) throw new Error('the answers are of another dashboard')
  const [pw, ph] = [w * column - gap, h * line - gap]
  svg += `<g transform="${place}"><rect width="${pw}" height="${ph}" class="panel"/>${text(10, 20, panel.title, 'font-weight="bold"')}` +
    `<g transform="translate(10 32)">${draw(panel, answers.panels[i], pw - 20, ph - 40)}</g></g>`
})
const page = `<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #111217 } text { fill: #ccccdc }
.dim { fill: #8e8f98 } .grid { stroke: #2c2e33; stroke-width: 1 } .panel { fill: #181b1f; stroke: #2c2e33 }
svg { font-family: sans-serif; font-size: 11px; display: block } </style>
<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${svg}</svg>`

const dir = mkdtempSync(join(tmpdir(), 'grafana-'))
try {
  writeFileSync(join(dir, 'page.html'), page)
  execFileSync('chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--hide-scrollbars', `--user-data-dir=${join(dir, 'profile')}`, `--window-size=${width},${height}`,
    `--screenshot=${picture}`, `file://${join(dir, 'page.html')}`], { stdio: ['ignore', 'ignore', 'ignore'] })
} finally {
  rmSync(dir, { recursive: true, force: true })
}
