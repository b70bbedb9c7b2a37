// As much of react-native-keychain as the example uses, so that it can be checked without it.

declare module 'react-native-keychain' {
  export enum ACCESSIBLE {
    AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY = 'AccessibleAfterFirstUnlockThisDeviceOnly',
  }
  interface BaseOptions {
    service?: string
  }
  interface SetOptions extends BaseOptions {
    accessible?: ACCESSIBLE
  }
  interface UserCredentials {
    username: string
    password: string
  }
  export function getGenericPassword(options?: BaseOptions): Promise<false | UserCredentials>
  export function setGenericPassword(
    username: string,
    password: string,
    options?: SetOptions,
  ): Promise<false | { service: string }>
  export function resetGenericPassword(options?: BaseOptions): Promise<boolean>
}
