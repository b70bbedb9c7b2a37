// Two people: whose the list is, invites the other one, and may take the right away (docs/sharing.md).
import { signal } from '@preact/signals'
import type { Phone } from './phone'

const KEY = 'melon-demo-sharing'

/** `open`: an invitation waits; `shared`: the other phone is in. */
type State = { stage: 'own' | 'open' | 'shared'; token: string | null }

const OWN: State = { stage: 'own', token: null }

export class Sharing {
  readonly state = signal<State>(kept())

  constructor(
    readonly owner: Phone,
    readonly guest: Phone,
  ) {}

  /** The list moves into a space of its own, of the same id; the token is the friend's. */
  invite = (): Promise<void> =>
    this.by(this.owner, async () => {
      const list = await this.owner.store.list()
      if (!list) return this.owner.say('bad', 'This phone has no list to share: sync first.')
      await this.owner.ask('POST', '/spaces', { id: list.id, name: list.name })
      await this.owner.store.moveList(list.id, list.id)
      await this.owner.sync()
      const made = await this.owner.ask('POST', `/spaces/${list.id}/invitations`, { role: 'editor' })
      this.keep({ stage: 'open', token: String(made?.token) })
      this.owner.say('good', `“${list.name}” is shared: ${this.guest.name} may join.`)
    })

  join = (): Promise<void> =>
    this.by(this.guest, async () => {
      await this.guest.ask('POST', '/spaces/join', { token: this.state.value.token })
      this.keep({ stage: 'shared', token: null })
      await this.guest.sync()
    })

  /** At once on the server; on the other phone at its next sync. */
  remove = (): Promise<void> =>
    this.by(this.owner, async () => {
      const list = await this.owner.store.list()
      const path = `/spaces/${list?.id}/members`
      const members = (await this.owner.ask('GET', path)) as unknown as Member[]
      const other = members.find(({ role }) => role !== 'owner')
      if (other) await this.owner.ask('DELETE', `${path}/${other.user_id}`)
      this.keep(OWN)
      this.owner.say('good', `${this.guest.name} is out. What it has not synced is not stored.`)
    })

  private async by(phone: Phone, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      phone.complain(error)
    }
  }

  private keep(state: State): void {
    this.state.value = state
    localStorage.setItem(KEY, JSON.stringify(state))
  }
}

type Member = { user_id: string; role: string }

function kept(): State {
  return JSON.parse(localStorage.getItem(KEY) ?? 'null') ?? OWN
}
