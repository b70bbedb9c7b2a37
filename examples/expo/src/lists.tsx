import { useState } from 'react'
import { Button, StyleSheet, Switch, Text, TextInput, View } from 'react-native'
import type { App, List } from './core/app'

export function Lists({ app, lists }: { app: App; lists: List[] }) {
  return (
    <View style={styles.lists}>
      {lists.map((list) => (
        <View key={list.id} style={styles.list}>
          <Text style={styles.name}>{list.name}</Text>
          {list.tasks.map(({ id, title, isCompleted, isUnsynced }) => (
            <View key={id} style={styles.task}>
              <Switch aria-label={title} value={isCompleted} onValueChange={(isOn) => void app.tick(id, isOn)} />
              <Text>{title}</Text>
              {isUnsynced && <Text style={styles.mark}>on this phone</Text>}
            </View>
          ))}
          <Add hint={`Add to ${list.name}`} onAdd={(title) => app.addTask(list.id, title)} />
        </View>
      ))}
      <Add hint="New list" onAdd={app.addList} />
    </View>
  )
}

function Add({ hint, onAdd }: { hint: string; onAdd: (text: string) => Promise<void> }) {
  const [text, setText] = useState('')
  const add = () => {
    if (!text.trim()) return
    setText('')
    void onAdd(text.trim())
  }
  return (
    <View style={styles.task}>
      <TextInput style={styles.field} placeholder={hint} value={text} onChangeText={setText} onSubmitEditing={add} />
      <Button title="Add" onPress={add} />
    </View>
  )
}

const styles = StyleSheet.create({
  lists: { gap: 24 },
  list: { gap: 8 },
  name: { fontSize: 20, fontWeight: '600' },
  task: { flexDirection: 'row', gap: 12, alignItems: 'center' },
  field: { borderWidth: 1, padding: 8, flex: 1 },
  mark: { color: '#8a5a00' },
})
