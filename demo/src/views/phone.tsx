import type { ComponentChildren } from 'preact'
import type { Phone } from '../phone'
import { AddTask } from './add'
import { Switch } from './switch'
import { TaskRow } from './task'

const LIVE = 'Send each edit at once, and sync when another phone has pushed'

/** `children`: what stands above the list; `none`: in its place, where there is none. */
export function PhoneView({ phone, none, children }: Props) {
  const { wire, rows, hasList, isBusy } = phone
  return (
    <article class="phone" aria-busy={isBusy.value} data-syncs={phone.syncs.value}>
      <header>
        <h2>{phone.name}</h2>
        <State phone={phone} />
      </header>
      <div class="tools">
        <Switch act="online" label="Online" title="Cut this phone off" value={wire.isOnline} />
        <Switch act="live" label="Live" title={LIVE} value={phone.isLive} />
        <SyncButton phone={phone} />
      </div>
      <Notice phone={phone} />
      {children}
      <ul class="tasks" aria-label={`Groceries on ${phone.name}`} tabIndex={-1}>
        {rows.value.map((row) => (
          <TaskRow key={row.id} phone={phone} row={row} />
        ))}
        {rows.value.length === 0 && <li class="empty">{emptiness(hasList.value, none)}</li>}
      </ul>
      <AddTask phone={phone} />
    </article>
  )
}

type Props = { phone: Phone; none: string; children?: ComponentChildren }

function emptiness(hasList: boolean | null, none: string): string {
  if (hasList === null) return 'Not read yet.'
  return hasList ? 'Nothing to buy.' : none
}

/** That it is cut off, and how much the server has not seen. */
function State({ phone }: { phone: Phone }) {
  const count = phone.waiting.value
  const parts = [phone.wire.isOnline.value ? '' : 'offline', count ? `${count} not synced` : '']
  return <span class="state">{parts.filter(Boolean).join(' · ')}</span>
}

function SyncButton({ phone }: { phone: Phone }) {
  const isBusy = phone.isBusy.value
  return (
    <button
      type="button"
      class="main"
      data-act="sync"
      aria-disabled={isBusy}
      onClick={() => void (isBusy || phone.sync())}
    >
      Sync
    </button>
  )
}

function Notice({ phone }: { phone: Phone }) {
  const { mood, text } = phone.notice.value
  const isOver = mood === 'good' && phone.waiting.value > 0 // it was well, until an edit
  return (
    <p class="notice" role="status" data-mood={isOver ? 'calm' : mood}>
      {text}
    </p>
  )
}
