/** One at a time: within this JavaScript context, and among a browser's tabs where it has Web Locks. */

const tails = new WeakMap<object, Map<string, Promise<unknown>>>()

/** Runs `work` when nobody else holds the lock `name` of `owner`. `shared` is its name among tabs. */
export function exclusive<T>(
  owner: object,
  name: string,
  shared: string,
  work: () => Promise<T>,
): Promise<T> {
  const names = tails.get(owner) ?? new Map<string, Promise<unknown>>()
  tails.set(owner, names)
  const previous = names.get(name) ?? Promise.resolve()
  const turn = previous.then(() => amongTabs(`melon-sync:${name}:${shared}`, work))
  names.set(
    name,
    turn.catch(() => undefined), // whoever asked for it is told
  )
  return turn
}

/** Whether other tabs wait for what holds a lock. A browser without Web Locks (a page of plain http, and its
 * workers) cannot see to it; outside of a browser there are no tabs. */
export function keepsTabsOut(): boolean {
  const isBrowser = typeof document !== 'undefined' || 'WorkerGlobalScope' in globalThis
  return !isBrowser || webLocks() !== undefined
}

function amongTabs<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = webLocks()
  return locks ? (locks.request(name, work) as Promise<T>) : work()
}

function webLocks(): LockManager | undefined {
  const here: { locks?: LockManager } = typeof navigator === 'undefined' ? {} : navigator
  return here.locks
}
