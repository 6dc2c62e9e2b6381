// Types of the pages' scripts: the answers of the HTTP API, and the elements of the pages by their ids.

declare namespace Api {
  interface Playing {
    clip: string;
    mode: number | null;
    seconds: number | null;
    position_s: number;
    at: number;
  }

  interface Device {
    id: string;
    name: string | null;
    tags: string[];
    first_seen: number | null;
    last_seen: number | null;
    connections: number;
    takes: number;
    errors_ever: number;
    firmware: string | null;
    connected: boolean;
    address: string | null;
    worker?: number | null;
    node?: string | null;
    since: number;
    mode: number;
    mode_name: string | null;
    state: "idle" | "playing" | "paused" | "error";
    playing: Playing | null;
    leds: string[];
    confirmed: string[] | null;
    last_press: { button: string; at: number } | null;
    battery: number | null;
    lead_ms: number | null;
    round_trip_ms: number | null;
    errors: number;
    last_error: string | null;
    corrections: number;
    streams: string[];
  }

  interface Changes {
    now?: number;
    rows: Device[];
    gone: string[];
    away?: Device[];
    forgotten?: string[];
    /** Of a cluster: how many there are that were asked for, and how many of them may come. */
    found?: number;
    limit?: number;
    /** The place of the first one in the whole list, and the ids in their order. */
    offset?: number;
    ids?: string[];
    counts?: { connected: number; playing: number; failing: number; nodes: number };
    missing?: string[];
  }

  /** By its kind an event has more facts, of which these are shown. */
  interface Event {
    seq: number;
    at: number;
    device: string;
    kind: string;
    text: string;
    button?: string;
    clip?: string;
    leds?: string[];
    outcome?: string;
  }

  interface Clip {
    mode: number;
    file: string;
    name: string;
    title: string;
    seconds: number;
    bit_rate_bps: number;
  }

  interface Clips {
    clips: Clip[];
    fixed_because: string | null;
    own?: boolean;
  }

  interface Group {
    name: string;
    source: "file" | "api" | null;
    devices: number;
    connected: number;
  }

  interface Recording {
    name: string;
    channel: string;
    begun: number;
    seconds: number;
    bytes: number;
    running: boolean;
  }

  interface Channel {
    name: string;
    mode: number;
    sending: boolean;
    node: string | null;
    inserted: number;
    left_out: number;
    lost: number;
  }

  interface Outcomes {
    done: number;
    gone: string[];
    failed: Record<string, string>;
    missing?: string[];
  }

  interface Finding {
    duty: string;
    text: string;
    verdict: "kept" | "broken" | "not seen";
    seen: string[];
  }

  interface Judged {
    device: string;
    duties: Finding[];
    left: string | null;
  }

  interface Announced extends Outcomes {
    id: string;
    seconds: number;
  }

  interface Heard {
    hearing: string;
    reason: string | null;
  }

  interface Announcement {
    sound: string;
    over: boolean;
    devices: Record<string, Heard>;
  }
}

/** The messages of `/device/socket`. */
declare namespace Page {
  interface Mode {
    name: string;
    seconds: number;
    leds: number[];
  }

  type Event =
    | { event: "hello"; modes: Mode[]; states: Record<string, number> }
    | { event: "link"; link: string }
    | { event: "leds"; leds: (number | null)[] }
    | { event: "sent"; button: string }
    | { event: "acked"; ack: boolean; ms: number }
    | { event: "lost"; reason: string }
    | { event: "call lost"; call: string; reason: string }
    | { event: "call reopened"; call: string };
}

/** A clip with a key that stays the same when an order gives its file another name. */
type KeyedClip = Api.Clip & { key: string };

/** The words about an action, and whether all went well. */
type Said = { text: string; well: boolean };

/** An element whose children are all of one kind. */
type ListOf<T extends Element> = {
  children: HTMLCollectionOf<T>;
  firstElementChild: T | null;
  lastElementChild: T | null;
} & HTMLElement;

interface Elements {
  [led: `led-${number}`]: SVGElement;
  ack: HTMLElement;
  add: HTMLButtonElement;
  "add-tag": HTMLButtonElement;
  announce: HTMLButtonElement;
  "announce-all": HTMLButtonElement;
  all: HTMLInputElement;
  bar: HTMLElement;
  breaches: HTMLElement;
  buffered: HTMLElement;
  cap: SVGElement;
  clear: HTMLButtonElement;
  clip: HTMLSelectElement;
  clips: ListOf<HTMLElement>;
  cluster: HTMLElement;
  cone: SVGElement;
  copy: HTMLButtonElement;
  count: HTMLElement;
  "device-id": HTMLElement;
  doing: HTMLElement;
  done: HTMLElement;
  drop: HTMLElement;
  empty: HTMLElement;
  facts: ListOf<HTMLElement>;
  files: HTMLInputElement;
  filters: HTMLFieldSetElement;
  findings: HTMLTableElement;
  firmware: HTMLSelectElement;
  firmwares: HTMLElement;
  forget: HTMLButtonElement;
  found: HTMLElement;
  heads: ListOf<HTMLElement>;
  group: HTMLSelectElement;
  hidden: HTMLElement;
  id: HTMLElement;
  judge: HTMLButtonElement;
  "judge-command": HTMLElement;
  "judge-presses": HTMLInputElement;
  "judge-step": HTMLElement;
  judging: HTMLElement;
  known: HTMLElement;
  lanes: HTMLElement;
  leds: HTMLElement;
  "leds-differ": HTMLInputElement;
  "leds-said": HTMLElement;
  "leds-title": Element;
  level: HTMLMeterElement;
  log: ListOf<HTMLElement>;
  logout: HTMLFormElement;
  match: HTMLButtonElement;
  moved: HTMLElement;
  name: HTMLElement;
  "no-breach": HTMLElement;
  nothing: HTMLElement;
  notice: HTMLElement;
  play: HTMLButtonElement;
  "play-all": HTMLButtonElement;
  position: HTMLProgressElement;
  power: HTMLButtonElement;
  presses: ListOf<HTMLButtonElement>;
  record: HTMLButtonElement;
  recorded: HTMLElement;
  "recorded-count": HTMLElement;
  recording: HTMLAnchorElement;
  recordings: ListOf<HTMLElement>;
  reload: HTMLButtonElement;
  rename: HTMLButtonElement;
  rows: HTMLElement;
  search: HTMLInputElement;
  seen: HTMLAnchorElement;
  selected: HTMLElement;
  show: HTMLSelectElement;
  sort: HTMLSelectElement;
  sound: HTMLElement;
  speak: HTMLButtonElement;
  state: HTMLElement;
  stop: HTMLButtonElement;
  "stop-all": HTMLButtonElement;
  table: HTMLElement;
  tag: HTMLSelectElement;
  tags: HTMLElement;
  time: HTMLElement;
  timeline: ListOf<HTMLElement>;
  unknown: HTMLElement;
  untag: HTMLButtonElement;
  uploads: HTMLElement;
  verdicts: HTMLElement;
  whose: HTMLElement;
  "with-errors": HTMLInputElement;
}

/** Handlers of a stream: of each event, and of its state, null when events come. */
type Taken = (name: string, data: any) => void;
type StreamState = (error: unknown) => void;
type Changed = (isAway: boolean, words: string) => void;

/** The page of a device, as its connection sees it. */
interface DevicePage {
  opened(): void;
  closed(): void;
  event(event: Page.Event): void;
  packet(data: ArrayBuffer): void;
  refused(reason: string): void;
}

interface Packet {
  isStart: boolean;
  isEnd: boolean;
  isCut: boolean;
  opus: Uint8Array<ArrayBuffer>;
  pcm: Int16Array | null;
}

/** A worklet has a scope of its own, which the types of pages do not have. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, kind: typeof AudioWorkletProcessor): void;

/** A row whose clip can be listened to. */
interface Sounding {
  sounding(on: boolean): void;
  at(part: number): void;
}

interface ClipActs {
  rename(clip: KeyedClip): void;
  replace(clip: KeyedClip, file: File): void;
  remove(clip: KeyedClip): void;
}

interface Drag {
  item: HTMLElement;
  ends: AbortController;
  tops: number[];
  from: number;
  to: number;
}

type Moved = (from: number, to: number) => void;
/** Devices as an action of the API takes them. */
type Which = string[] | "all" | { match: Record<string, unknown> };

/** All devices that a search has found, and how many there are. */
interface Matching {
  devices: Which;
  count: number;
}

type Chosen = (id: string, on: boolean, range: boolean) => void;
type Filters = { state?: string; tag?: string; firmware?: string; errors?: boolean; differ?: boolean };
type Lit = Pick<Api.Device, "leds" | "confirmed">;
type Span = { item: HTMLElement; at: number };
