/** The calls of shared spaces: thin, each one route of docs/api.md. */

import type { Api, Call } from './api.js'
import { invitationAnswer, invitationsAnswer, membersAnswer, spaceAnswer, spacesAnswer } from './shapes.js'
import type { Tokens } from './tokens.js'

/** Owners may all, editors change records, readers read them. */
export type Role = 'owner' | 'editor' | 'reader'

export interface Space {
  id: string
  name: string
  /** The caller's. */
  role: Role
  /** How many there are. */
  members: number
  created_at: string
}

export interface Member {
  user_id: string
  name: string | null
  role: Role
  joined_at: string
}

export interface Invitation {
  id: string
  role: Role
  /** Where it was mailed; null for one that the app hands over. */
  email: string | null
  expires_at: string
}

/** `token`: to be handed over, told this once; of a mailed one it is in the mail alone. */
export type NewInvitation = Invitation & { token?: string }

/** Throw what any call throws: an `ApiError` of status 404 for a space that the caller is not in, `ForbiddenError`
 * where the role does not suffice, `ValidationError`. */
export class Spaces {
  /** How many this client has made or joined. For a sync. */
  made = 0
  private readonly underWay = new Set<Promise<unknown>>()

  constructor(
    private readonly api: Api,
    private readonly tokens: Tokens,
  ) {}

  /** The shared ones that the caller is in. */
  async list(options: { as?: string; signal?: AbortSignal } = {}): Promise<Space[]> {
    return spacesAnswer(await this.api.signed({ ...options, method: 'GET', path: '/spaces', repeat: 'always' }))
  }

  /** The caller owns it. With an `id` of the app's own (a new UUID, say) it may be called again: the same space.
   * `id_taken` where that is somebody else's. */
  create(space: { id?: string; name: string }): Promise<Space> {
    const repeat = space.id === undefined ? 'unapplied' : 'always'
    return this.making({ method: 'POST', path: '/spaces', body: space, expects: [200, 201], repeat })
  }

  /** By an invitation's `token`; who has come in by it may call again. `ValidationError` for one that does not
   * work (any more), `ForbiddenError` `email_not_verified` for an account that has not confirmed the address. */
  join(token: string): Promise<Space> {
    return this.making({ method: 'POST', path: '/spaces/join', body: { token }, repeat: 'always' })
  }

  /** Owners. */
  async rename(id: string, name: string): Promise<Space> {
    const call = { method: 'PATCH', path: pathOf(id), body: { name }, repeat: 'always' } as const
    return spaceAnswer(await this.api.signed(call))
  }

  /** Owners. Its records are gone for everybody. */
  async delete(id: string): Promise<void> {
    await this.ended(pathOf(id))
  }

  async members(id: string): Promise<Member[]> {
    const call = { method: 'GET', path: pathOf(id, 'members'), repeat: 'always' } as const
    return membersAnswer(await this.api.signed(call))
  }

  /** Gives a member another role; owners. `last_owner` where nobody else would own it. */
  async role(id: string, userId: string, role: Role): Promise<void> {
    const path = pathOf(id, 'members', userId)
    await this.api.signed({ method: 'PATCH', path, body: { role }, repeat: 'always' })
  }

  /** Owners. The records go from that one's phones at their next sync. */
  async remove(id: string, userId: string): Promise<void> {
    await this.ended(pathOf(id, 'members', userId))
  }

  /** The caller is out. `last_owner`: hand it over first, or delete it. */
  async leave(id: string): Promise<void> {
    const as = await this.tokens.accountId()
    await this.ended(pathOf(id, 'members', as), as)
  }

  /** Owners. It works once, for 7 days; with `email` it is mailed, and is for who has confirmed that address. */
  async invite(id: string, invitation: { role: Role; email?: string }): Promise<NewInvitation> {
    const path = pathOf(id, 'invitations')
    const call = { method: 'POST', path, body: invitation, expects: 201, repeat: 'unapplied' } as const
    return invitationAnswer(await this.api.signed(call), invitation.email !== undefined)
  }

  /** Those that still work; owners. */
  async invitations(id: string): Promise<Invitation[]> {
    const call = { method: 'GET', path: pathOf(id, 'invitations'), repeat: 'always' } as const
    return invitationsAnswer(await this.api.signed(call))
  }

  /** Takes an invitation back; owners. */
  async revoke(id: string, invitationId: string): Promise<void> {
    await this.ended(pathOf(id, 'invitations', invitationId))
  }

  /** Once what is made or joined at this moment is, or has failed. For a sync that met a space that is not there yet. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.underWay)
  }

  private async making(call: Call): Promise<Space> {
    const work = this.api.signed(call).then(spaceAnswer)
    this.underWay.add(work)
    try {
      const space = await work
      this.made += 1
      return space
    } finally {
      this.underWay.delete(work)
    }
  }

  private async ended(path: string, as?: string): Promise<void> {
    const call = { method: 'DELETE', path, expects: 204, repeat: 'unapplied' } as const
    await this.api.signed(as === undefined ? call : { ...call, as })
  }
}

function pathOf(...parts: string[]): string {
  return ['/spaces', ...parts.map(encodeURIComponent)].join('/')
}
