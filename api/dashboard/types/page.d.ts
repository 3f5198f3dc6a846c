/** Types of the page's modules: the API's schemas, narrowed where they leave a value open, and the page's own. */
import type * as Api from "./api";

declare global {
  // The API's schemas.
  type Family = "cnn" | "rnn";
  type CellLayout = Family | "nasbench201";
  type Kind = Api.JobKind;
  type Status = Api.Status;
  type Metrics = Record<string, number>;
  type Advice = Api.AdviceOut;
  type Attempt = Api.AttemptOut;
  type Checkpoint = Api.CheckpointOut;
  type Dataset = Api.DatasetOut;
  type Device = Api.DeviceLoad;
  type LogLine = Api.LogLine;
  type Method = Api.MethodOut;
  type Preset = Api.PresetOut;
  type UsageRow = Api.UsageRow;
  type Share = Api.ShareOut;
  type Budget = Api.BudgetOut;
  type Owner = Share & { budget: Budget | null };
  type ApiKey = Api.KeyOut;
  type WorkerInfo = Api.WorkerOut;
  type Comparison = Api.Comparison;
  type FieldProblem = Api.FieldProblem;
  type Queue = Api.QueueOut;
  type JobOfQueue = Api.JobOfQueue;
  type LineageNode = Api.LineageNode;
  type LineageEdge = Api.LineageEdge;

  type Collection = "/jobs" | "/searches" | "/evaluations" | "/scores" | "/ensembles" | "/studies" | "/committees";
  type JobPath = `${Collection}/${string}`;
  type Links = { self: JobPath; children?: `${JobPath}/children`; [name: string]: string | undefined };
  type Job = Omit<Api.JobOut, "spec" | "links"> & { spec: JobSpec; links: Links };
  /** The values that the specs of all kinds share; others are `unknown`. The specs of single kinds follow. */
  type JobSpec = { family: Family; dataset: string; epochs?: number; [name: string]: unknown };
  type SearchSpec = JobSpec & { primitives: string[]; nodes: number };
  type EnsembleSpec = JobSpec & { members: Member[]; batch_size: number };
  type Member = { id: string; source: string; job_id: string | null; score_id: string | null; name: string | null; epoch: number };
  type StudySpec = JobSpec & { points: (Axes & { search: JobSpec; short_retrain: JobSpec; final: JobSpec })[] };
  type CommitteeSpec = JobSpec & { points: (Axes & { search: JobSpec; evaluation: JobSpec })[] };
  type Axes = { values: Record<string, unknown> };

  type ScoreResult = Partial<Api.ScoreResult>;
  type EnsembleResult = Api.EnsembleResult;
  type StudyResult = { points: StudyPoint[] };
  type StudyPoint = Axes & {
    dataset: string;
    failure: string | null;
    chosen_by: string;
    candidates: (Run & { chosen: boolean; search: string | null; short_retrain: string | null })[];
    chosen: { seed: number; why: string } | null;
    final: { metric: string; mean: number | null; std: number | null; n: number; runs: (Run & { evaluation: string })[] };
  };
  type Run = { seed: number; failure: string | null; [metric: string]: unknown };
  type CommitteeResult = Pick<EnsembleResult, "committee" | "plain" | "gain"> & { ensemble: string; members: CommitteeMember[] };
  type CommitteeMember = Pick<Run, "seed" | "failure"> & {
    space: string;
    metrics: Metrics | null;
    search: string | null;
    evaluation: string | null;
  };

  /** Operations and their sources, by cell, in the nodes' order; operations, nodes and sources in a sparse genotype. */
  type Genotype = Record<string, ([string, number] | [string, number, number])[]>;
  type Epoch = Omit<Api.EpochOut, "genotype"> & { genotype?: Genotype | null };
  type SearchEpoch = Epoch & { genotype: Genotype; strengths: Record<string, number[][]> };

  /** The answer to a GET, by its path. */
  type Answer<Path extends string> = Path extends "/session"
    ? Api.SessionOut
    : Path extends "/openapi.json"
      ? { components: { schemas: Schemas }; paths: Record<string, { post?: { "x-form"?: Form } }> }
      : Path extends "/datasets"
        ? Api.DatasetList
        : Path extends "/budgets"
          ? Api.BudgetList
          : Path extends "/usage/shares"
            ? Api.ShareList
            : Path extends "/presets"
              ? Api.PresetList
              : Path extends "/methods"
                ? Api.MethodList
                : Path extends "/workers"
                  ? Api.WorkerList
                  : Path extends `/keys?${string}`
                    ? Api.KeyList
                    : Path extends `/advice?${string}`
                      ? Advice
                      : Path extends `/usage?${string}`
                        ? Api.UsageOut
                        : Path extends `/queue?${string}`
                          ? Api.QueueOut
                          : Path extends `/lineage/${string}`
                            ? Api.LineageOut
                            : Path extends `/compare?${string}`
                              ? Comparison
                              : Path extends `${string}/epochs`
                                ? { items: Epoch[] }
                                : Path extends `${string}/attempts`
                                  ? Api.AttemptList
                                  : Path extends `${string}/logs?${string}`
                                    ? Api.LogList
                                    : Path extends `${string}/checkpoints`
                                      ? Api.CheckpointList
                                      : Path extends `${Collection}?${string}` | `${string}/children`
                                        ? Omit<Api.JobList, "items"> & { items: Job[] }
                                        : Path extends `/checkpoints?${string}`
                                          ? Api.UploadList
                                          : Path extends JobPath
                                            ? Job
                                            : unknown;

  /** An event of a job, by its kind. */
  type EventData = {
    ready: unknown;
    status: { status: Status; reason: string | null; attempt: number };
    step: Api.Progress;
    epoch: Epoch;
    log: Omit<LogLine, "sequence">;
    checkpoint: unknown;
    preempted: { by: string; reason: string };
    child: { stage: string; status: Status };
    end: { status: Status };
  };
  type EventKind = keyof EventData;
  /** `job_id` is empty in the stream of one job. */
  type JobEvent = { [K in EventKind]: { kind: K; data: EventData[K]; sequence: number; job_id: string } }[EventKind];

  // The page's own.
  type Place = { parts: string[]; query: URLSearchParams };
  type View = (main: HTMLElement, place: Place, signal: AbortSignal) => void | Promise<void>;
  type Child = Node | string | false | null | undefined;
  type Props = Record<string, unknown> & { on?: Record<string, (event: Event) => void> };

  /**
   * A column of the list of jobs. sort: the order that the service knows, of the first click on its head. raw: for CSV,
   * where it is not the text.
   */
  type Column = {
    label: string;
    sort?: string;
    number?: boolean;
    text(job: Job): string;
    raw?(job: Job): number | string | null | undefined;
  };

  /** The data of a job's view. `at` is the selected epoch, null for the latest. */
  type JobState = { job: Job; epochs: Epoch[]; logs: LogLine[]; at: number | null };
  type SelectEpoch = (epoch: number) => void;
  type Section = { node: HTMLElement; update(state: JobState): void; take?(event: JobEvent): void };

  /** The part of JSON Schema that the API's request models use. */
  type Schema = {
    type?: string;
    $ref?: string;
    anyOf?: Schema[];
    properties?: Record<string, Schema>;
    additionalProperties?: unknown;
    required?: string[];
    items?: Schema;
    enum?: unknown[];
    description?: string;
    default?: unknown;
    minimum?: number;
    maximum?: number;
    exclusiveMinimum?: number;
    exclusiveMaximum?: number;
    minItems?: number;
  };
  type Schemas = Record<string, Schema>;
  /** The hints for the form of a kind of job. `first`, `hidden` and `presets` are by the part of the body, "" for itself. */
  type Form = {
    kind: string;
    collection: Collection;
    models: Record<string, string>;
    submit: string;
    about: string;
    first: Record<string, string[]>;
    hidden: Record<string, string[]>;
    presets: Record<string, string>;
  };
  type Named = { name: string; required: boolean; about: string; default: unknown };
  type GroupField = { type: "group"; name: string; fields: Field[]; first: string[] };
  type LeafField = Named &
    (
      | { type: "text"; long: boolean }
      | { type: "choices"; values: unknown[] }
      | { type: "choice"; values: unknown[] }
      | { type: "integer" | "number"; whole: boolean; min?: number; max?: number }
      | { type: "list" | "boolean" | "object" | "array" }
    );
  type Field =
    | LeafField
    | (Named & GroupField & { nullable?: boolean; open?: boolean })
    | (Named & { type: "rows"; row: GroupField; least: number });

  // plotly, as far as the charts call it.
  type Trace = Record<string, unknown>;
  type Figure = { traces: Trace[]; layout: Record<string, unknown> };
  type ChartNode = HTMLElement & { on?(event: "plotly_click", listener: (event: { points: { x: number }[] }) => void): void };
  interface Plotly {
    react(node: HTMLElement, traces: Trace[], layout: object, config: object): Promise<unknown>;
    purge(node: HTMLElement): void;
    Plots: { resize(node: HTMLElement): void };
  }
  interface Window {
    Plotly?: Plotly;
  }
}
