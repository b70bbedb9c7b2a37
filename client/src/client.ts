/** `createMelonClient`: the parts, put together. */

import { Account, type LoggedOut } from './account.js'
import { Api } from './api.js'
import type { RejectedRecord } from './changes.js'
import { deviceId, forgetUnreadable } from './device.js'
import { MelonError, SignedOutError, UnsyncedError } from './errors.js'
import { teller, type Listener } from './events.js'
import { platformGzip } from './gzip.js'
import { httpSender, parsed, type Fetch, type Gzip, type Send } from './http.js'
import { listen, type Live, type LiveOptions } from './live.js'
import { emptied, getLastPulledAt, unsyncedCounts } from './local.js'
import { exclusive } from './locks.js'
import type { OnAccessLost } from './lost.js'
import { PushNumbers } from './numbers.js'
import { Private, type IsDraft } from './private.js'
import { retryPolicy, type RetryPolicy } from './retry.js'
import { run, type SyncResult } from './run.js'
import { Spaces } from './spaces.js'
import type { MelonStorage } from './storage.js'
import { inLine, syncInLine, type StartRun, type SyncOptions } from './sync.js'
import { Tokens } from './tokens.js'
import { askVerdict, heldContents, type VerifyOptions, type VerifyResult } from './verify.js'
import type { Database, Watermelon } from './watermelon.js'

export interface MelonOptions {
  /** Where the server is: `https://api.example.com`, without `/api/v1`. */
  url: string
  /** Where the tokens are kept. */
  storage: MelonStorage
  /** `Q` and `synchronize` of the app's WatermelonDB: of `@nozbe/watermelondb`, if not given (melon-sync/core has no
   * other). */
  watermelon: Watermelon
  /** This device with its database (`A-Za-z0-9_.-`, up to 64); made once and stored, if not given. */
  deviceId?: string
  /** What people call it: shown among their sessions. */
  deviceName?: string
  /** The global one. */
  fetch?: Fetch
  /** Packs what is sent; false: nothing is. The platform's, where it has one. */
  gzip?: Gzip | false
  /** WatermelonDB's own: the schema version before the first migration that syncs. */
  migrationsEnabledAtVersion?: number
  /** Tables and columns of the phone's own: `settings`, `tasks.is_open`. They are never sent, verified or asked about. */
  localOnly?: readonly string[]
  /** Whether a record stays on this phone for now; asked at each sync. What belongs to a new one stays, too. */
  isDraft?: IsDraft
  /** Of one request, in ms; 60,000. */
  timeoutMs?: number
  /** How long a call is tried; 5 times, with pauses from 0.5 to 30 s. */
  retry?: Partial<RetryPolicy>
  onEvent?: Listener
  /** Told after each sync of all that the server did not take, and of nothing where it took all: the texts are
   * for the person, at the record. With it syncs are `partial`, unless one says otherwise. */
  onRejected?: (rejected: RejectedRecord[]) => void
  /** Awaited before anything goes from this phone because the account was taken out of a shared space, or may write
   * there no more: `unsynced` is what no server has, for the app to copy. If it throws nothing goes, and the next sync calls it
   * again. With it a sync that finds news asks for the spaces, too. */
  onAccessLost?: OnAccessLost
}

const TIMEOUT_MS = 60_000
const VERIFY_TRIES = 3

/** The client of one server, and of one account at a time. */
export class MelonClient extends Account {
  /** Sets of records that several accounts share. */
  readonly spaces: Spaces
  private readonly parts: Parts
  private readonly start: StartRun
  private readonly own: Private

  constructor(private readonly options: Readonly<MelonOptions>) {
    const parts = assemble(options)
    const mend = () => forgetUnreadable(options.storage)
    super(parts.api, parts.tokens, { id: parts.device, name: options.deviceName, mend })
    this.parts = parts
    const spaces = (this.spaces = new Spaces(parts.api, parts.tokens))
    this.own = new Private(options.localOnly, options.isDraft)
    const tellRejected = teller(options.onRejected)
    this.start = async (database, manner, hooks) => {
      const { api, tokens, numbers } = parts
      const { waiting, guests } = tokens
      const { watermelon, onAccessLost } = options
      const { own } = this
      const shared = { api, numbers, watermelon, own, spaces, onAccessLost }
      const work = async () => {
        if ((await tokens.accountId()) !== manner.as) throw new SignedOutError('signed_out')
        const result = await run({ ...shared, database, waiting, guests, manner, ...hooks })
        if (result.rejected.length === 0) await guests.settle(manner.as, parts.send)
        tellRejected(result.rejected)
        return result
      }
      return exclusive(options.storage, 'sync', await parts.device(), work)
    }
  }

  /** Pulls and pushes until this device and the server agree. Throws `SignedOutError`,
   * `OtherAccountError`, `ForeignClockError`, `ConflictError`, `ValidationError`, `NetworkError`, `AbortError` … */
  async sync(database: Database, options: SyncOptions = {}): Promise<SyncResult> {
    return this.inLine(database, options, { resend: false, as: await this.parts.tokens.accountId() })
  }

  /** As `sync`, and uploads what this device holds and the server does not, whatever its status: after a
   * server has lost it, say. Nothing is dropped. Throws as `sync` does. */
  async resend(database: Database, options: SyncOptions = {}): Promise<SyncResult> {
    return this.inLine(database, options, { resend: true, as: await this.parts.tokens.accountId() })
  }

  /** Whether there is work that no server has: ask before the database is reset. */
  async hasUnsyncedChanges(database: Database): Promise<boolean> {
    return Object.keys(await this.unsynced(database)).length > 0
  }

  /** How many records, edits and deletions no server has, by table; drafts, too. */
  unsynced(database: Database): Promise<Record<string, number>> {
    const count = () => unsyncedCounts(database, this.options.watermelon, this.own)
    return database.read(count, 'melon-sync-unsynced')
  }

  /** Signs this device out, offline too. With `wipe` its records go: all of them, so that nothing of one person is left
   * for the next. Throws `UnsyncedError` where that would lose something, before anything is done; `force` loses it. */
  async signOut(database: Database, { wipe, force = false }: { wipe: boolean; force?: boolean }): Promise<LoggedOut> {
    const ask = async () => {
      const counts = await unsyncedCounts(database, this.options.watermelon, this.own)
      if (Object.keys(counts).length) throw new UnsyncedError(counts)
    }
    if (wipe && !force) await database.read(ask, 'melon-sync-signOut')
    const told = await this.logout()
    if (wipe) {
      const reset = async () => {
        if (!force) await ask() // written meanwhile: it stays
        await emptied(database)
      }
      await inLine(database, () => database.write(reset, 'melon-sync-signOut'))
    }
    return told
  }

  /** Syncs, then compares all that is here with the server. Throws as `sync` does. */
  async verify(database: Database, options: VerifyOptions = {}): Promise<VerifyResult> {
    const { repair, ...syncing } = options
    const as = await this.parts.tokens.accountId()
    const found = await this.compare(database, syncing, as)
    if (found.identical !== false || !repair) return found
    await this.inLine(database, syncing, { resend: true, as })
    return { ...(await this.compare(database, syncing, as)), repaired: true }
  }

  /** Syncs at once, and whenever another phone has changed something, while the app is looked at and until it is
   * stopped. Nothing is thrown: `onError` is told. */
  live(database: Database, options: LiveOptions = {}): Live {
    const { tokens, sender, apiBy } = this.parts
    const root = options.url === undefined ? this.parts.root : rootOf(options.url)
    const api = apiBy(sender(root))
    return listen(
      {
        root,
        sync: () => this.sync(database),
        since: async () => (await getLastPulledAt(database)) ?? 0,
        token: async (failed) => (await (failed ? tokens.refreshed(failed) : tokens.fresh())).access,
        poll: async (since, signal) => {
          const path = `/sync/live?since=${since}`
          return parsed(await api.signed({ method: 'GET', path, repeat: 'never', signal }))['news'] === true
        },
      },
      options,
    )
  }

  /** `as`: who is signed in at the time of the call, whoever that is when its turn comes. */
  private inLine(
    database: Database,
    options: SyncOptions,
    own: { resend: boolean; as: string },
  ): Promise<SyncResult> {
    const { migrationsEnabledAtVersion, onRejected } = this.options
    const { partial = onRejected !== undefined } = options
    return syncInLine(database, { ...options, partial }, { ...own, migrationsEnabledAtVersion }, this.start)
  }

  private async compare(database: Database, options: SyncOptions, as: string): Promise<VerifyResult> {
    let reason: VerifyResult['reason'] = null
    for (let attempt = 1; attempt <= VERIFY_TRIES; attempt += 1) {
      await this.inLine(database, options, { resend: false, as })
      const held = await heldContents(database, this.own)
      reason = held ? 'changing' : 'unsynced'
      if (!held) continue
      const verdict = await askVerdict(this.parts.api, as, held, options.signal)
      if (verdict.identical !== null) return { ...verdict, reason: null, repaired: false }
    }
    return { identical: null, reason, tables: {}, repaired: false }
  }
}

/** A client; nothing is sent or stored before its first call. Throws `MelonError` for a `url` that is none. */
export function createMelonClient(options: MelonOptions): MelonClient {
  return new MelonClient(options)
}

type Parts = ReturnType<typeof assemble>

function assemble(options: MelonOptions) {
  const root = rootOf(options.url)
  const { storage, timeoutMs = TIMEOUT_MS } = options
  const tell: Listener = teller(options.onEvent)
  const gzip = options.gzip === false ? undefined : (options.gzip ?? platformGzip())
  const sender = (root: string) => httpSender({ root, fetch: options.fetch ?? globalFetch, gzip, timeoutMs })
  const send = sender(root)
  const tokens = new Tokens({ root, storage, send, tell })
  const apiBy = (send: Send) => new Api(send, tokens, retryPolicy(options.retry), tell)
  const api = apiBy(send)
  const device = async () => options.deviceId ?? deviceId(storage)
  return { root, send, sender, apiBy, tokens, numbers: new PushNumbers(storage), api, device }
}

function rootOf(url: string): string {
  const isUrl = /^(https?:\/\/[^/]|\/|$)/i.test(url) // in a page also one of its own origin
  if (!isUrl) throw new MelonError('bad_option', '`url` does not begin with https:// or http://.')
  return `${url.replace(/\/+$/, '')}/api/v1`
}

/** Looked up at each call, so that an app may wrap it after the client was made. */
const globalFetch: Fetch = (url, init) => fetch(url, init)
