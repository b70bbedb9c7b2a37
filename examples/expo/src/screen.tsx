import { addNetworkStateListener } from 'expo-network'
import { useEffect, useSyncExternalStore } from 'react'
import { ActivityIndicator, AppState, Button, Platform, ScrollView, StyleSheet, Text, View } from 'react-native'
import { App } from './core/app'
import { fetching } from './core/words'
import { Lists } from './lists'
import { alone, platform } from './platform'
import { SignIn } from './sign-in'
import { SignOut } from './sign-out'

const app = new App(platform)

/** As whoever was here last; then whenever the app comes to the front, or the network back. */
function start(): () => void {
  void alone.then(app.resume)
  const front = AppState.addEventListener('change', (now) => void (now === 'active' && app.sync()))
  const network = addNetworkStateListener(({ isConnected }) => void (isConnected && app.sync()))
  return () => [front, network].forEach((listener) => listener.remove())
}

export function Screen() {
  const state = useSyncExternalStore(app.subscribe, () => app.state)
  useEffect(start, [])
  if (!state.isReady) return <Waiting />
  return (
    <ScrollView contentContainerStyle={styles.page}>
      {state.isOffline && <Text style={styles.banner}>Offline. What you write waits on this phone.</Text>}
      {state.message !== null && (
        <Text role="alert" style={styles.error}>
          {state.message}
        </Text>
      )}
      {state.firstSync !== null && (
        <View style={styles.row}>
          <ActivityIndicator role="progressbar" aria-label="First sync" />
          <Text>{fetching(state.firstSync)}</Text>
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

function Waiting() {
  return (
    <View style={styles.page}>
      <ActivityIndicator />
      {Platform.OS === 'web' && <Text>The lists are open in another tab.</Text>}
    </View>
  )
}

const styles = StyleSheet.create({
  page: { padding: 24, paddingTop: 64, gap: 12, flexGrow: 1 },
  row: { flexDirection: 'row', gap: 12, alignItems: 'center' },
  banner: { backgroundColor: '#fff3c4', padding: 12 },
  error: { backgroundColor: '#ffd9d6', padding: 12 },
})
