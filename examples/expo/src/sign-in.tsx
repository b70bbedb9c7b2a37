import { useState } from 'react'
import { Button, StyleSheet, TextInput, View } from 'react-native'
import type { App } from './core/app'

export function SignIn({ app }: { app: App }) {
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const enter = (how: 'register' | 'login') => void app.enter(how, { email, password })
  return (
    <View style={styles.form}>
      <TextInput
        style={styles.field}
        placeholder="E-mail"
        autoCapitalize="none"
        inputMode="email"
        value={email}
        onChangeText={setEmail}
      />
      <TextInput
        style={styles.field}
        placeholder="Password"
        secureTextEntry
        value={password}
        onChangeText={setPassword}
      />
      <Button title="Sign in" onPress={() => enter('login')} />
      <Button title="Make an account" onPress={() => enter('register')} />
    </View>
  )
}

const styles = StyleSheet.create({ form: { gap: 12 }, field: { borderWidth: 1, padding: 12 } })
