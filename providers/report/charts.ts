import { BarChart, LineChart } from "echarts/charts";
import { GridComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

import { type Markup, markup } from "./markup";
import type { Series } from "./series";

use([BarChart, LineChart, GridComponent, SVGRenderer]);

/** A chart does not grow with its page, since its letters would, too: it is drawn for wide pages and for narrow ones. */
const WIDTHS = { wide: 600, narrow: 330 } as const;

// Colours are the page's own, so that they follow light, dark and print.
const quiet = { silent: true, emphasis: { disabled: true } } as const;
const valueAxis = {
  type: "value",
  minInterval: 1,
  axisLabel: {
    color: "var(--soft)",
    fontSize: 12,
    formatter: (value: number) => (value < 1_000 ? value.toString() : `${(value / 1_000).toString()}k`),
  },
  splitLine: { lineStyle: { color: "var(--line)" } },
} as const;
const categoryAxis = {
  type: "category",
  axisLabel: { color: "var(--text)", fontSize: 12, hideOverlap: true },
  axisLine: { lineStyle: { color: "var(--line)" } },
  axisTick: { show: false },
} as const;

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Stands beside the bar. */
  readonly text: string;
}

/** Horizontal bars, the first on top. */
export function drawBars(bars: readonly Bar[], description: string): Markup {
  return draw(description, 24 + bars.length * 32, () => ({
    // Without a browser the width of a name is a guess, so there is room for the longest.
    grid: { left: 125, right: 115, top: 4, bottom: 4, outerBoundsMode: "none" },
    xAxis: { ...valueAxis, show: false, max: "dataMax" },
    yAxis: {
      ...categoryAxis,
      axisLine: { show: false },
      inverse: true,
      data: bars.map(({ name }) => name),
    },
    series: [
      {
        ...quiet,
        type: "bar",
        barMaxWidth: 20,
        // A bar of one among thousands is still to be seen.
        barMinHeight: 2,
        data: bars.map(({ value, text }) => ({
          value,
          itemStyle: { color: value === 0 ? "none" : "var(--first)" },
          label: { show: true, position: "right", color: "var(--text)", fontSize: 12, formatter: () => text },
        })),
      },
    ],
  }));
}

/** How many users have migrated and signed in, up to each time. */
export function drawTotals({ periods }: Series, description: string): Markup {
  const line = (color: string, type: "solid" | "dashed", data: readonly number[]) => ({
    ...quiet,
    type: "line" as const,
    color,
    lineStyle: { color, width: 2, type },
    step: "end" as const,
    showSymbol: periods.length === 1,
    data: [...data],
  });
  return draw(description, 220, () => ({
    ...overTime(periods.map(({ start }) => start)),
    series: [
      line(
        "var(--first)",
        "solid",
        periods.map(({ migratedInAll }) => migratedInAll),
      ),
      line(
        "var(--second)",
        "dashed",
        periods.map(({ signedInInAll }) => signedInInAll),
      ),
    ],
  }));
}

/** How many users have migrated in each period. */
export function drawRate({ periods }: Series, description: string): Markup {
  return draw(description, 220, () => ({
    ...overTime(periods.map(({ start }) => start)),
    series: [
      {
        ...quiet,
        type: "bar",
        color: "var(--first)",
        barMaxWidth: 32,
        data: periods.map(({ migrated }) => migrated),
      },
    ],
  }));
}

function overTime(starts: readonly string[]) {
  return {
    grid: { left: 32, right: 36, top: 12, bottom: 4 },
    xAxis: {
      ...categoryAxis,
      axisLabel: { ...categoryAxis.axisLabel, color: "var(--soft)" },
      data: [...starts],
    },
    yAxis: valueAxis,
  };
}

function draw(description: string, height: number, option: (width: number) => EChartsCoreOption): Markup {
  const drawn = Object.entries(WIDTHS).map(([name, width]) => {
    const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
    chart.setOption({ animation: false, textStyle: { fontFamily: "inherit" }, ...option(width) });
    const svg = chart.renderToSVGString();
    chart.dispose();
    return markup`<div class="${name}">${{ html: standing(svg) }}</div>`;
  });
  return markup`<div class="chart" role="img" aria-label="${description}">${drawn}</div>`;
}

/** As part of a page it needs no namespaces, and nothing in it reacts to a pointer. */
function standing(svg: string): string {
  return svg
    .replaceAll(/ xmlns(:\w+)?="[^"]*"/g, "")
    .replaceAll(/ ecmeta_\w+="[^"]*"/g, "")
    .replaceAll(/ (class="zr[^"]*"|pointer-events="visible"|baseProfile="full"|version="1.1")/g, "")
    .replace(/<style[\s\S]*<\/style>/, "")
    .replace("<svg ", '<svg aria-hidden="true" focusable="false" ')
    .replaceAll(/>\s+</g, "><");
}
