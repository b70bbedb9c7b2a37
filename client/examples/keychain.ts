// The tokens in the keychain of iOS and the keystore of Android, by react-native-keychain 8 to 10.

import * as Keychain from 'react-native-keychain'
import type { MelonStorage } from 'melon-sync'

// Readable in the background; and on this device alone: a phone that is set up from another one's backup
// must sign in, as a device of its own.
const accessible = Keychain.ACCESSIBLE.AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY

export const keychainStorage: MelonStorage = {
  async get(key) {
    const found = await Keychain.getGenericPassword({ service: key })
    return found ? found.password : null
  },
  async set(key, value) {
    const stored = await Keychain.setGenericPassword(key, value, { service: key, accessible })
    if (!stored) throw new Error(`the keychain did not take ${key}`)
  },
  async remove(key) {
    await Keychain.resetGenericPassword({ service: key })
  },
}
