import { defineConfig } from "eslint/config";
import sortImports from "eslint-plugin-simple-import-sort";
import typescript from "typescript-eslint";

export default defineConfig(
  { ignores: ["node_modules"] },
  ...typescript.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ["*.mjs", "commands/*.mjs"] } },
    },
    plugins: { "simple-import-sort": sortImports },
    rules: {
      "simple-import-sort/imports": "error",
      "simple-import-sort/exports": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  { files: ["providers/report/users-table.js"], extends: [typescript.configs.disableTypeChecked] },
);
