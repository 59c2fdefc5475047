// Compiles dashboards against Grafana's own types: node dashboard_types.mjs FILE..., in a folder with @grafana/schema and
// typescript. What is wrong is printed; the exit code says whether anything is.
import fs from "node:fs";
import ts from "typescript";

const panels = "./node_modules/@grafana/schema/dist/types/raw/composable";
const HEAD = `
import type {
  AnnotationQuery, AnnotationTarget, Dashboard, DataQuery, FieldConfigSource, Panel, VariableModel,
} from "@grafana/schema";
import type * as timeseries from "${panels}/timeseries/panelcfg/x/types.gen";
import type * as stat from "${panels}/stat/panelcfg/x/types.gen";
import type * as states from "${panels}/statetimeline/panelcfg/x/types.gen";

// JSON has the values of enumerations, not their names.
type Plain<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[] : { [K in keyof T]: Plain<T[K]> };
// Grafana's package leaves open what a query of a data source holds.
interface Prometheus extends DataQuery { expr: string; legendFormat: string; range: true }
type Of<K, Options, Fields> = Omit<Panel, "type" | "targets" | "options" | "fieldConfig">
  & { type: K; targets: Prometheus[]; options: Options; fieldConfig: FieldConfigSource<Fields> };
type AnyPanel = Of<"timeseries", timeseries.Options, timeseries.FieldConfig> | Of<"stat", stat.Options, {}>
  | Of<"state-timeline", states.Options, states.FieldConfig>;
type Marks = AnnotationQuery<Prometheus> & { titleFormat: string; tagKeys: string }
  | Omit<AnnotationQuery, "target"> & { target: AnnotationTarget };
type Whole = Plain<Omit<Dashboard, "panels" | "annotations" | "templating">
  & { panels: AnyPanel[]; annotations: { list: Marks[] }; templating: { list: VariableModel[] } }>;
`;
const OPTIONS = {
  strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
};

const sources = process.argv.slice(2).map((file, at) => {
  fs.writeFileSync(`d${at}.ts`, `${HEAD}export const d = ${fs.readFileSync(file, "utf8").trim()} satisfies Whole;\n`);
  return `d${at}.ts`;
});
const problems = ts.getPreEmitDiagnostics(ts.createProgram(sources, OPTIONS));
for (const problem of problems) {
  const line = problem.file?.getLineAndCharacterOfPosition(problem.start).line;
  console.log(problem.file?.fileName, line, ts.flattenDiagnosticMessageText(problem.messageText, "\n"));
}
process.exit(problems.length ? 1 : 0);
