import { isHeard, total, type Counts, type Exchange, type Heard, type Json } from '../exchange'
import type { Phone } from '../phone'
import { bytes, heard, LISTENS, outcome, time } from '../words'
import { Switch } from './switch'

/** What went over a phone's network, the newest first, and how it listens. */
export function WireView({ phone: { wire, listens } }: { phone: Phone }) {
  return (
    <section class="wire" aria-label="On the wire">
      <header>
        <h3>On the wire</h3>
        <Switch
          act="lose"
          label="Lose next answer"
          title="The next push arrives, its answer does not"
          value={wire.losesNextPush}
        />
      </header>
      <p class="listens" data-live={listens.value}>
        {`Live: ${LISTENS[listens.value]}.`}
      </p>
      <ol tabIndex={0} aria-label="Exchanges, the newest first">
        {wire.entries.value.map((entry) =>
          isHeard(entry) ? (
            <HeardLine key={entry.id} entry={entry} />
          ) : (
            <Line key={entry.id} exchange={entry} />
          ),
        )}
      </ol>
    </section>
  )
}

function HeardLine({ entry: { at, told } }: { entry: Heard }) {
  return (
    <li class="heard" data-told={told}>
      <time>{time(at)}</time> <b>{heard(told)}</b>
    </li>
  )
}

function Line({ exchange }: { exchange: Exchange }) {
  const { path, times, changes, sent, received } = exchange
  return (
    <li data-path={path} data-outcome={exchange.outcome}>
      <details>
        <summary>
          <span class="what">
            <time>{time(exchange.at)}</time>
            <b>{word(path)}</b>
            {times > 1 && <span class="times">{`× ${times}`}</span>}
            <span class="outcome">{outcome(exchange.outcome)}</span>
          </span>
          {Object.keys(changes).length > 0 && <Sum counts={total(changes)} />}
          <Figures exchange={exchange} />
        </summary>
        {Object.entries(changes).map(([table, counts]) => (
          <Sum key={table} table={table} counts={counts} />
        ))}
        <Body title="Sent" json={sent} />
        <Body title="Answered" json={received} />
      </details>
    </li>
  )
}

/** The last part that is no id. */
const word = (path: string) => path.split('/').filter((part) => /^[a-z-]+$/.test(part)).at(-1)

function Sum({ table, counts }: { table?: string; counts: Counts }) {
  return (
    <span class="counts" data-table={table}>
      {table && <i>{table}</i>}
      {Object.entries(counts).map(([kind, count]) => (
        <span key={kind} class={count ? '' : 'none'}>{`${kind} ${count}`}</span>
      ))}
    </span>
  )
}

function Figures({ exchange: { up, down, clock, path } }: { exchange: Exchange }) {
  return (
    <span class="figures">
      <span data-up={up} data-down={down}>{`↑ ${bytes(up)}  ↓ ${bytes(down)}`}</span>
      {path.startsWith('/sync/') && (
        <span class="clock">{`clock ${clock.from ?? 'none'} → ${clock.to ?? 'none'}`}</span>
      )}
    </span>
  )
}

function Body({ title, json }: { title: string; json: Json }) {
  if (json === null) return <p class="nothing">{`${title}: nothing to show.`}</p>
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <pre tabIndex={0}>{JSON.stringify(json, null, 1)}</pre>
    </figure>
  )
}
