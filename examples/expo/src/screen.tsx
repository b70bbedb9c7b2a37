import { useEffect, useState, useSyncExternalStore } from 'react'
import { ActivityIndicator, AppState, Button, ScrollView, StyleSheet, Text, View } from 'react-native'
import { App } from './core/app'
import { Lists } from './lists'
import { platform } from './platform'
import { SignIn } from './sign-in'
import { SignOut } from './sign-out'

const app = new App(platform)

export function Screen() {
  const state = useSyncExternalStore(app.subscribe, () => app.state)
  const [isReady, setIsReady] = useState(false)
  useEffect(() => {
    void app.resume().finally(() => setIsReady(true))
    const front = AppState.addEventListener('change', (now) => void (now === 'active' && app.sync()))
    return () => front.remove()
  }, [])
  if (!isReady) return <ActivityIndicator style={styles.page} />
  return (
    <ScrollView contentContainerStyle={styles.page}>
      {state.isOffline && <Text style={styles.banner}>Offline. What you write waits on this phone.</Text>}
      {state.message !== null && <Text style={styles.error}>{state.message}</Text>}
      {state.firstSync !== null && (
        <View style={styles.row} accessibilityRole="progressbar">
          <ActivityIndicator />
          <Text>Fetching your lists: {state.firstSync} records</Text>
        </View>
      )}
      {state.email === null ? <SignIn app={app} /> : <Lists app={app} lists={state.lists} />}
      {state.others.map(({ slot, email }) => (
        <Button key={slot} title={`Go on as ${email}`} onPress={() => void app.switchTo(slot)} />
      ))}
      {state.email !== null && <SignOut key={state.email} app={app} email={state.email} />}
    </ScrollView>
  )
}

const styles = StyleSheet.create({
  page: { padding: 24, paddingTop: 64, gap: 12, flexGrow: 1 },
  row: { flexDirection: 'row', gap: 12, alignItems: 'center' },
  banner: { backgroundColor: '#fff3c4', padding: 12 },
  error: { backgroundColor: '#ffd9d6', padding: 12 },
})
