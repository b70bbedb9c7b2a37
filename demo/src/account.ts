// The visitor's throwaway account. localStorage keeps it, so that a reload finds the same list.

const KEY = 'melon-demo-account'

export type Account = { email: string; password: string }

/** An account of this browser, made up at the first visit; the server hears of it at a sync. `of`: whose, where
 * there are two people. */
export function ownAccount(of = ''): Account {
  const key = KEY + of
  const stored = localStorage.getItem(key)
  if (stored !== null) return JSON.parse(stored) as Account
  const account = { email: `demo-${random()}@example.com`, password: random() }
  localStorage.setItem(key, JSON.stringify(account))
  return account
}

/** Whether the server has said that it knows the account. */
export const isOpen = ({ email }: Account): boolean => localStorage.getItem(opened(email)) !== null

export const markOpen = ({ email }: Account): void => localStorage.setItem(opened(email), 'yes')

const opened = (email: string): string => `melon-demo-is-open-${email}`

function random(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(36)).join('')
}
