import { useSignal } from '@preact/signals'
import type { TargetedSubmitEvent } from 'preact'
import type { Phone } from '../phone'
import { MOST_CHARACTERS } from './field'

/** The line below the list that adds a task. */
export function AddTask({ phone }: { phone: Pick<Phone, 'name' | 'hasList' | 'add'> }) {
  const title = useSignal('')
  const onSubmit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    const text = title.value.trim()
    if (text) void phone.add(text)
    title.value = ''
  }
  return (
    <form class="add" onSubmit={onSubmit}>
      <input
        data-act="new"
        aria-label={`New task on ${phone.name}`}
        placeholder="Add a task"
        maxLength={MOST_CHARACTERS}
        autocomplete="off"
        disabled={!phone.hasList.value}
        value={title.value}
        onInput={(event) => (title.value = event.currentTarget.value)}
      />
      <button type="submit" class="plain" data-act="add" disabled={!phone.hasList.value}>
        Add
      </button>
    </form>
  )
}
