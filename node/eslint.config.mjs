// @ts-check
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  globalIgnores(["dist/", "build/"]),
  {
    files: ["src/**/*.ts", "test/**/*.mts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A number in a message is a number.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // `() => this.send()` says what it does.
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // Members that a subclass or a user names: the type of what comes back is his word, as with JSON.parse.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      "@typescript-eslint/require-await": "off",
      // The reason of a signal may be anything.
      "@typescript-eslint/prefer-promise-reject-errors": "off",
      // `as` says which type it is.
      "@typescript-eslint/non-nullable-type-assertion-style": "off",
    },
  },
  {
    files: ["test/**/*.mts"],
    rules: {
      // Node's runner waits for what `test` promises.
      "@typescript-eslint/no-floating-promises": [
        "error",
        { allowForKnownSafeCalls: [{ from: "package", name: "test", package: "node:test" }] },
      ],
      "@typescript-eslint/no-empty-function": "off",
    },
  },
);
