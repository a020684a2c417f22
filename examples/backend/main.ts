import { openServer } from "./server";
import { parseSettings } from "./settings";
import { openSystems } from "./systems";

async function main(): Promise<void> {
  const settings = parseSettings(process.env);
  const systems = openSystems(settings);
  const app = await openServer(systems);
  app.addHook("onClose", () => systems.database.end());
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void app.close());
  }
  await app.listen({ host: settings.host, port: settings.port });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
