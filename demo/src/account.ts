// The visitor's throwaway account. localStorage keeps it, so that a reload finds the same list.

const KEY = 'melon-demo-account'
const OPEN = 'melon-demo-account-is-open'

export type Account = { email: string; password: string }

/** The account of this browser, made up at the first visit; the server hears of it at a sync. */
export function ownAccount(): Account {
  const stored = localStorage.getItem(KEY)
  if (stored !== null) return JSON.parse(stored) as Account
  const account = { email: `demo-${random()}@example.com`, password: random() }
  localStorage.setItem(KEY, JSON.stringify(account))
  return account
}

/** Whether the server has said that it knows the account. */
export const isOpen = ({ email }: Account): boolean => localStorage.getItem(OPEN) === email

export const markOpen = ({ email }: Account): void => localStorage.setItem(OPEN, email)

function random(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(36)).join('')
}
