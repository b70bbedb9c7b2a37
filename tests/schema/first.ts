// How an app uses the printed classes; what must not compile is said so.
import type { Database } from '@nozbe/watermelondb'
import { migrations } from './app/migrations'
import { modelClasses, Project, Task } from './app/models'
import { schema } from './app/schema'
import * as one from './one'

export const versions: number[] = [schema.version, migrations.maxVersion, one.schema.version]
export const classes = [...modelClasses, ...one.modelClasses]

export async function use(database: Database): Promise<string | null> {
  const task = await database.get<Task>(Task.table).find('t')
  const project: Project = await task.project.fetch()
  const tasks: Task[] = await project.tasks.fetch()
  const due: number = task.createdAt.getTime()
  await task.update((it) => {
    it.isCompleted = true
    it.description = null
    // @ts-expect-error the title is required
    it.title = null
    // @ts-expect-error a boolean it is
    it.isCompleted = 1
  })
  // @ts-expect-error the description may be null
  const text: string = task.description
  return tasks.length > due ? text : task.description
}
