import type { AddressInfo, Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

import PostalMime, { type Email } from "postal-mime";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { z } from "zod";

/**
 * Where something goes wrong. data: the server has seen the beginning of the message. message: it has all of it, and
 * has not answered.
 */
export type SmtpStage = "connection" | "login" | "sender" | "recipient" | "data" | "message";

export interface SmtpFault {
  readonly on: SmtpStage;
  readonly effect:
    | { readonly type: "reply"; readonly code: number }
    /** Ends the connection without a word. */
    | { readonly type: "cut" }
    /** Never answers. */
    | { readonly type: "hang" }
    /** Answers late, but answers. */
    | { readonly type: "delay"; readonly ms: number };
  /** How often it strikes. @default 1 */
  readonly times?: number;
}

export interface ReceivedMail {
  /** Of the envelope. */
  readonly from: string;
  readonly to: readonly string[];
  readonly raw: string;
  /** Whether it came over TLS, and after which login; empty without one. */
  readonly isEncrypted: boolean;
  readonly login: string;
  readonly content: Email;
}

export interface LocalSmtp {
  /** For SMTP_URL; with the login where the server asks for one. */
  readonly url: string;
  readonly port: number;
  /** Whatever it took over completely, in the order of arrival, even if it never said so. */
  readonly mails: readonly ReceivedMail[];
  /** How many connections there have been. */
  connectionCount(): number;
  fail(...faults: SmtpFault[]): void;
  /** From here on nothing goes wrong. */
  clearFaults(): void;
  stop(): Promise<void>;
}

export interface SmtpOptions {
  /** Asks for this login. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Offers STARTTLS, with a certificate that nobody signed. @default false */
  readonly startTls?: boolean;
}

/** A mail server of our own on a free port of this machine, which sends nothing on. */
export async function startSmtp({ login, startTls = false }: SmtpOptions = {}): Promise<LocalSmtp> {
  const mails: ReceivedMail[] = [];
  const sockets = new Map<number, Socket>();
  const faults: { fault: SmtpFault; left: number }[] = [];
  let connections = 0;

  /** True where the conversation goes on. Real servers quote the address in what they say: so do we. */
  async function passes(on: SmtpStage, port: number, about: string, answer: Answer): Promise<boolean> {
    const standing = faults.find(({ fault, left }) => fault.on === on && left > 0);
    if (standing === undefined) return true;
    standing.left--;
    const { effect } = standing.fault;
    if (effect.type === "delay") {
      await wait(effect.ms);
      return true;
    }
    if (effect.type === "cut") sockets.get(port)?.destroy();
    if (effect.type === "reply")
      answer(Object.assign(new Error(`no luck with <${about}>`), { responseCode: effect.code }));
    return false;
  }

  const server = new SMTPServer({
    authOptional: login === undefined,
    // With STARTTLS on offer nobody logs in before it.
    allowInsecureAuth: !startTls,
    disabledCommands: [...(startTls ? [] : ["STARTTLS"]), ...(login === undefined ? ["AUTH"] : [])],
    disableReverseLookup: true,
    logger: false,
    closeTimeout: 1,
    onConnect(session, done) {
      void passes("connection", session.remotePort, "client", done).then((on) => {
        if (on) done();
      });
    },
    onAuth(given, session, done) {
      void passes("login", session.remotePort, given.username ?? "", done).then((on) => {
        if (!on) return;
        if (given.username === login?.user && given.password === login?.password)
          done(null, { user: given.username });
        else done(Object.assign(new Error(`${given.username ?? ""} may not`), { responseCode: 535 }));
      });
    },
    onMailFrom({ address }, session, done) {
      void passes("sender", session.remotePort, address, done).then((on) => {
        if (on) done();
      });
    },
    onRcptTo({ address }, session, done) {
      void passes("recipient", session.remotePort, address, done).then((on) => {
        if (on) done();
      });
    },
    onData(stream, session, done) {
      const { mailFrom, rcptTo } = session.envelope;
      const to = rcptTo.map(({ address }) => address);
      const receive = async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of stream) {
          if (chunks.length === 0 && !(await passes("data", session.remotePort, to.join(), done))) return;
          chunks.push(z.instanceof(Buffer).parse(chunk));
        }
        const raw = Buffer.concat(chunks);
        const answers = faults.some(
          ({ fault, left }) => fault.on === "message" && left > 0 && fault.effect.type === "reply",
        );
        if (!answers)
          mails.push({
            from: mailFrom === false ? "" : mailFrom.address,
            to,
            raw: raw.toString("latin1"),
            isEncrypted: session.secure,
            login: z.string().catch("").parse(session.user),
            content: await PostalMime.parse(raw),
          });
        if (await passes("message", session.remotePort, to.join(), done)) done();
      };
      // A connection that breaks within the message is the client's business.
      receive().catch(() => undefined);
    },
  } satisfies SMTPServerOptions);
  server.on("error", () => undefined);
  server.server.on("connection", (socket: Socket) => {
    connections++;
    sockets.set(socket.remotePort ?? 0, socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = addressOf(server.server.address());
  const user =
    login === undefined ? "" : `${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}@`;

  return {
    url: `smtp://${user}127.0.0.1:${port.toString()}`,
    port,
    mails,
    connectionCount: () => connections,
    fail(...added) {
      faults.push(...added.map((fault) => ({ fault, left: fault.times ?? 1 })));
    },
    clearFaults() {
      faults.length = 0;
    },
    async stop() {
      for (const socket of sockets.values()) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(resolve);
      });
    },
  };
}

type Answer = (error: Error) => void;

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === "string") throw new Error("The mail server listens nowhere.");
  return address;
}
