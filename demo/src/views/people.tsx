import type { Sharing } from '../sharing'

/** Between two people: what the phone's owner may do about the list, and where it stands. */
export function People({ sharing, isOwner }: { sharing: Sharing; isOwner: boolean }) {
  const { stage } = sharing.state.value
  return (
    <div class="people">
      {isOwner ? <Owner sharing={sharing} stage={stage} /> : <Guest sharing={sharing} stage={stage} />}
    </div>
  )
}

type Props = { sharing: Sharing; stage: 'own' | 'open' | 'shared' }

function Owner({ sharing, stage }: Props) {
  if (stage === 'open') return <p>Invited: Phone B may join.</p>
  if (stage === 'own')
    return <Act act="invite" text="Invite Phone B" onClick={sharing.invite} said="Your own list." />
  return <Act act="remove" text="Take B out" onClick={sharing.remove} said="Shared with Phone B." />
}

function Guest({ sharing, stage }: Props) {
  if (stage === 'own') return <p>Somebody else’s phone: nothing is shared with it.</p>
  if (stage === 'shared') return <p>In A’s list, as an editor.</p>
  return <Act act="join" text="Join" onClick={sharing.join} said="A invites you to its list." />
}

type ActProps = { act: string; text: string; said: string; onClick: () => Promise<void> }

function Act({ act, text, said, onClick }: ActProps) {
  return (
    <>
      <p>{said}</p>
      <button type="button" class="plain" data-act={act} onClick={() => void onClick()}>
        {text}
      </button>
    </>
  )
}
