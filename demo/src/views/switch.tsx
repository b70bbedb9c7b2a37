import type { Signal } from '@preact/signals'

type Props = { act: string; label: string; title: string; value: Signal<boolean> }

/** A switch that a signal follows. */
export function Switch({ act, label, title, value }: Props) {
  const flip = () => (value.value = !value.value)
  return (
    <button
      type="button"
      role="switch"
      class="switch"
      data-act={act}
      aria-checked={value.value}
      title={title}
      onClick={flip}
    >
      <span class="knob" aria-hidden="true" />
      {label}
    </button>
  )
}
