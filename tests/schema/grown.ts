// How an app uses the classes of docs/own-tables.md; what must not compile is said so.
import type { Database } from '@nozbe/watermelondb'
import type { Comment, Project, Tag } from './new/models'

export async function use(database: Database): Promise<number> {
  const comment = await database.get<Comment>('comments').find('c')
  const above: Comment | null = await comment.answers.fetch()
  const replies: Comment[] = await comment.comments.fetch()
  const tag: Tag | undefined = (await (await tagged(comment)).tags.fetch())[0]
  await comment.update((it) => {
    it.answers.set(null)
    it.remindAt = new Date(0)
    it.remindAt = null
    it.score = null
    // @ts-expect-error likes are always a number
    it.likes = null
  })
  // @ts-expect-error it may answer nothing
  const surely: Comment = await comment.answers.fetch()
  // @ts-expect-error a tag may have no project
  const project: string = tag?.projectId
  return replies.length + (above?.likes ?? 0) + surely.likes + project.length
}

async function tagged(comment: Comment): Promise<Project> {
  const task = await comment.task.fetch()
  return task.project.fetch()
}
