import { registerRootComponent } from 'expo'
import { Screen } from './src/screen'

registerRootComponent(Screen)
