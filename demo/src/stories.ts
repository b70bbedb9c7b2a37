// What to try: each story is a guide to follow, and is played by the same steps.
import { WentWrong } from './hands'
import type { Side, Stage } from './stage'

export type Step = { say: string; act: (stage: Stage) => Promise<void> | void }
export type Story = { title: string; steps: Step[] }

const A: Side = 'Phone A'
const B: Side = 'Phone B'

const inStep = (title: string): Step => ({
  say: `Both phones are in step, with “${title}”.`,
  act: (stage) => stage.begin(title),
})
const bothOffline: Step = {
  say: 'Both go offline.',
  act: async (stage) => {
    await stage.turn(A, 'online', false)
    await stage.turn(B, 'online', false)
  },
}
const renamed = (side: Side, title: string): Step => ({
  say: `${side} renames it “${title}”.`,
  act: (stage) => stage.change(side, 'title', title),
})
const bothSync: Step = {
  say: 'Both come back; A syncs, B syncs, A syncs.',
  act: async (stage) => {
    await stage.turn(A, 'online', true)
    await stage.turn(B, 'online', true)
    await stage.sync(A, B, A)
  },
}

export const STORIES: Story[] = [
  {
    title: 'Edit on both: both edits stay',
    steps: [
      inStep('Milk'),
      bothOffline,
      renamed(A, 'Oat milk'),
      { say: 'Phone B ticks it off.', act: (stage) => stage.tick(B) },
      bothSync,
      {
        say: 'Both show “Oat milk”, ticked: each column keeps its edit.',
        act: (stage) => stage.expect({ title: 'Oat milk', isDone: true }),
      },
    ],
  },
  {
    title: 'The same title on both: the last push wins',
    steps: [
      inStep('Bread'),
      bothOffline,
      renamed(A, 'Rye bread'),
      renamed(B, 'White bread'),
      bothSync,
      {
        say: 'Both show “White bread”: B pushed last.',
        act: (stage) => stage.expect({ title: 'White bread' }),
      },
    ],
  },
  {
    title: 'Deleted here, edited there: the deletion wins',
    steps: [
      inStep('Apples'),
      bothOffline,
      { say: 'Phone A deletes it.', act: (stage) => stage.remove(A) },
      {
        say: 'Phone B writes a note on it.',
        act: (stage) => stage.change(B, 'note', 'the red ones'),
      },
      bothSync,
      { say: 'It is gone from both.', act: (stage) => stage.expect(null) },
    ],
  },
  {
    title: 'An answer gets lost: nothing is doubled',
    steps: [
      { say: 'Both phones are in step.', act: (stage) => stage.begin() },
      { say: 'Phone A adds “Lemons”.', act: (stage) => stage.add(A, 'Lemons') },
      {
        say: 'The next answer to Phone A will get lost.',
        act: (stage) => stage.turn(A, 'lose', true),
      },
      { say: 'Phone A syncs: its push arrives, the answer does not.', act: losing },
      { say: 'It syncs again, then B syncs.', act: (stage) => stage.sync(A, B) },
      {
        say: 'Both have them, once.',
        act: (stage) => stage.expectOnce('Lemons'),
      },
    ],
  },
  {
    title: 'The server refuses one: it says why, the others go',
    steps: [
      inStep('Eggs'),
      {
        say: 'Phone A writes a card number on it, which a rule on the server refuses.',
        act: (stage) => stage.change(A, 'note', '4111 1111 1111 1111'),
      },
      {
        say: 'Phone A syncs: the task keeps its mark, and says why.',
        act: async (stage) => {
          await stage.sync(A)
          stage.expectRefusal(A)
        },
      },
      {
        say: 'It writes “with the blue card” instead.',
        act: (stage) => stage.change(A, 'note', 'with the blue card'),
      },
      {
        say: 'A syncs, B syncs: both have it.',
        act: async (stage) => {
          await stage.sync(A, B)
          stage.expect({ title: 'Eggs', note: 'with the blue card' })
        },
      },
    ],
  },
  {
    title: 'Live: the other phone knows at once',
    steps: [
      inStep('Tomatoes'),
      { say: 'Phone B listens.', act: (stage) => stage.listens(B) },
      { say: 'Phone A adds “Basil”, and syncs.', act: addAndSync },
      {
        say: 'Phone B heard of it, and has it by itself.',
        act: async (stage) => {
          await stage.gets(B)
          await stage.turn(B, 'live', false)
        },
      },
    ],
  },
  {
    title: 'Two people: a right is taken away offline',
    steps: [
      {
        say: 'Phone B is somebody else’s. On A’s own list is “Tea”.',
        act: (stage) => stage.beginApart('Tea'),
      },
      { say: 'A invites B: the list moves into a space.', act: (stage) => stage.tie(A, 'invite') },
      {
        say: 'B joins, and has the list.',
        act: async (stage) => {
          await stage.tie(B, 'join')
          await stage.gets(B)
        },
      },
      renamed(A, 'Green tea'),
      { say: 'Phone B ticks it off.', act: (stage) => stage.tick(B) },
      {
        say: 'A syncs, B syncs, A syncs: both show both edits.',
        act: async (stage) => {
          await stage.sync(A, B, A)
          stage.expect({ title: 'Green tea', isDone: true })
        },
      },
      {
        say: 'B goes offline, and writes a note.',
        act: async (stage) => {
          await stage.turn(B, 'online', false)
          await stage.change(B, 'note', 'the one with mint')
        },
      },
      { say: 'A takes B out.', act: (stage) => stage.tie(A, 'remove') },
      {
        say: 'B comes back and syncs: the list goes, and B is told that its note is stored nowhere.',
        act: async (stage) => {
          await stage.turn(B, 'online', true)
          await stage.sync(B)
          stage.expectGone(B)
        },
      },
      {
        say: 'A keeps B’s tick, which had been synced, and gets no note.',
        act: async (stage) => {
          await stage.sync(A)
          stage.expectOn(A, { title: 'Green tea', note: '', isDone: true })
        },
      },
      { say: 'B is A’s second phone again.', act: (stage) => stage.begin() },
    ],
  },
]

async function addAndSync(stage: Stage): Promise<void> {
  await stage.add(A, 'Basil')
  await stage.sync(A)
}

async function losing(stage: Stage): Promise<void> {
  await stage.sync(A)
  if (stage.isLosing(A)) throw new WentWrong('No answer got lost.')
}
