import { useState } from 'react'
import { Button, StyleSheet, Text, View } from 'react-native'
import type { App } from './core/app'

/** Nobody loses what was not uploaded without having been asked. */
export function SignOut({ app, email }: { app: App; email: string }) {
  const [isAsking, setIsAsking] = useState(false)
  const leave = async () => ((await app.hasUnsynced()) ? setIsAsking(true) : app.leave(false))
  if (!isAsking) {
    return (
      <View style={styles.buttons}>
        <Button title="Somebody else" onPress={() => void app.switchTo(null)} />
        <Button title={`Sign out ${email}`} onPress={() => void leave()} />
      </View>
    )
  }
  return (
    <View style={styles.buttons} role="alertdialog" aria-label="Sign out">
      <Text>Not everything is saved everywhere yet. Signed out, what is on this phone alone would be lost.</Text>
      <Button title="Stay" onPress={() => setIsAsking(false)} />
      <Button title="Sign out, keep it here" onPress={() => void app.leave(true)} />
      <Button title="Sign out, delete it" onPress={() => void app.leave(false)} />
    </View>
  )
}

const styles = StyleSheet.create({ buttons: { gap: 8 } })
