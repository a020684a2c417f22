const REPAINT_MS = 1_000;
const LINE_EVERY_MS = 5_000;
const DEFAULT_COLUMNS = 80;

/** Where progress is shown: by default standard error, for the standard output of a command may be read by a program. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Progress {
  /** What is being done now; shown with the time since the start. */
  update(detail: string): void;
  stop(): void;
}

/** One line that is rewritten in a terminal; elsewhere a line every few seconds. Never in colour. */
export function startProgress(terminal: Terminal, task: string, environment: NodeJS.ProcessEnv): Progress {
  const rewrites = terminal.isTTY === true && environment.TERM !== "dumb";
  const startedAt = performance.now();
  let detail = "";

  function show(): void {
    const line = `${task}${detail === "" ? "" : `: ${detail}`} (${minutes(performance.now() - startedAt)})`;
    terminal.write(rewrites ? `\r${fit(line, terminal)}` : `${line}\n`);
  }

  terminal.write(rewrites ? fit(task, terminal) : `${task}\n`);
  const timer = setInterval(show, rewrites ? REPAINT_MS : LINE_EVERY_MS);
  return {
    update(next) {
      detail = next;
    },
    stop() {
      clearInterval(timer);
      if (rewrites) terminal.write(`\r${fit("", terminal)}\r`);
    },
  };
}

/** Spaces cover the rest of the former line, without an escape sequence. */
function fit(line: string, terminal: Terminal): string {
  const width = (terminal.columns ?? DEFAULT_COLUMNS) - 1;
  return line.slice(0, width).padEnd(width);
}

function minutes(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
