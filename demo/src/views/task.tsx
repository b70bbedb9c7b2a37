import type { Phone } from '../phone'
import type { Row } from '../store'
import { Field } from './field'

export function TaskRow({ phone, row }: { phone: Phone; row: Row }) {
  const refusal = phone.refusals.value[row.id]
  return (
    <li class="task" data-id={row.id} data-done={row.isDone}>
      <label class="tick">
        <input
          type="checkbox"
          data-act="done"
          checked={row.isDone}
          aria-label={`Done: ${row.title}`}
          onChange={(event) => void phone.edit(row.id, { isDone: event.currentTarget.checked })}
        />
      </label>
      <div class="words">
        <Field
          act="title"
          label={`Title of ${row.title}`}
          value={row.title}
          isNeeded
          onSave={(title) => void phone.edit(row.id, { title })}
        />
        <Field
          act="note"
          label={`Note on ${row.title}`}
          placeholder="note"
          value={row.note}
          onSave={(note) => void phone.edit(row.id, { note })}
        />
        {refusal && (
          <p class="refusal" role="alert">
            {refusal}
          </p>
        )}
      </div>
      <Dot unsynced={row.unsynced} />
      <button
        type="button"
        class="delete"
        data-act="delete"
        aria-label={`Delete ${row.title}`}
        onClick={() => void phone.remove(row.id)}
      >
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="m4 4 8 8m0-8-8 8" fill="none" stroke="currentColor" stroke-width="1.6" />
        </svg>
      </button>
    </li>
  )
}

/** Marks a task that the server has not seen; keeps its place when it has. */
export function Dot({ unsynced }: { unsynced: string | null }) {
  if (unsynced === null) return <span class="dot" />
  const words = `Not synced: ${unsynced}`
  return <span class="dot on" role="img" aria-label={words} title={words} />
}
