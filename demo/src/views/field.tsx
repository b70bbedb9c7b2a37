import { useSignal } from '@preact/signals'
import type { TargetedKeyboardEvent } from 'preact'

// As many as the server keeps (docs/own-tables.md); never cut there, so none too many here.
export const MOST_CHARACTERS = 255

type Props = {
  act: string
  label: string
  value: string
  placeholder?: string
  isNeeded?: boolean
  onSave: (text: string) => void
}

/** Text that is edited where it stands: Enter or leaving it saves, Escape does not. What a sync
 * changes meanwhile does not disturb the typing. */
export function Field({ act, label, value, placeholder, isNeeded, onSave }: Props) {
  const draft = useSignal<string | null>(null)
  const save = () => {
    const text = (draft.value ?? value).trim()
    draft.value = null
    if (text !== value && (text || !isNeeded)) onSave(text)
  }
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLInputElement>) => {
    if (event.key === 'Escape') draft.value = null
    if (event.key === 'Escape' || event.key === 'Enter') event.currentTarget.blur()
  }
  return (
    <input
      class={act}
      data-act={act}
      aria-label={label}
      placeholder={placeholder}
      maxLength={MOST_CHARACTERS}
      autocomplete="off"
      value={draft.value ?? value}
      onInput={(event) => (draft.value = event.currentTarget.value)}
      onBlur={save}
      onKeyDown={onKeyDown}
    />
  )
}
