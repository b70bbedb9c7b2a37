// WatermelonDB as Metro bundles it for React Native: `index.native.js` before `index.js`, and the native
// side of its JSI mode. That is C++ on a phone (native/shared/Database*.cpp); here the same calls go to
// SQLite in WebAssembly, by the same rules. A database whose name is a path is kept in that file, which is
// written anew by each transaction.

const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs')
const Module = require('node:module')
const initSqlJs = require('sql.js')

let sqlite
/** To be awaited before a database is opened. */
exports.ready = initSqlJs().then((found) => (sqlite = found))
/** How many JSON texts were loaded by Turbo mode. */
exports.loads = 0

const pending = new Map() // the JSON of `provideSyncJson`, by its id

class NativeDatabase {
  cached = new Set() // what JavaScript holds already comes as its id alone

  constructor(name) {
    this.file = name.includes('/') ? name : undefined
    this.db = new sqlite.Database(this.file && existsSync(this.file) ? readFileSync(this.file) : undefined)
  }

  initialize(_name, version) {
    const { user_version: found } = this.rows('pragma user_version')[0]
    if (found === version) return { code: 'ok' }
    return found ? { code: 'migrations_needed', databaseVersion: found } : { code: 'schema_needed' }
  }

  setUpWithSchema(_name, sql, version) {
    this.inTransaction(() => this.db.exec(`${sql}; pragma user_version = ${version}`))
  }

  setUpWithMigrations(name, sql, _from, to) {
    this.setUpWithSchema(name, sql, to)
  }

  unsafeResetDatabase(sql, version) {
    this.db = new sqlite.Database()
    this.cached.clear()
    this.setUpWithSchema('', sql, version)
  }

  /** Whole or not at all, as a journal would have it. */
  save() {
    if (!this.file) return
    writeFileSync(`${this.file}~`, this.db.export())
    renameSync(`${this.file}~`, this.file)
  }

  rows(sql, args) {
    const statement = this.db.prepare(sql, args)
    const found = []
    while (statement.step()) found.push(statement.getAsObject())
    statement.free()
    return found
  }

  find(table, id) {
    return this.query(table, `select * from "${table}" where id == ?`, [id])[0] ?? null
  }

  query(table, sql, args) {
    return this.rows(sql, args).map((row) => {
      const key = `${table}#${row.id}`
      if (this.cached.has(key)) return row.id
      this.cached.add(key)
      return row
    })
  }

  unsafeQueryRaw(sql, args) {
    return this.rows(sql, args)
  }

  queryIds(sql, args) {
    return this.rows(sql, args).map(({ id }) => id)
  }

  count(sql, args) {
    return this.rows(sql, args)[0].count
  }

  getLocal(key) {
    return this.rows('select value from local_storage where key = ?', [key])[0]?.value ?? null
  }

  batchJSON(json) {
    this.inTransaction(() => {
      for (const [cache, table, sql, batches] of JSON.parse(json)) {
        for (const args of batches) {
          this.db.run(sql, args)
          if (cache === 1) this.cached.add(`${table}#${args[0]}`)
          if (cache === -1) this.cached.delete(`${table}#${args[0]}`)
        }
      }
    })
  }

  /** Database-turboSync.cpp: inserts only, a deletion is an error, tables it does not know are left out. */
  unsafeLoadFromSync(id, schema, preamble, postamble) {
    const { changes, ...rest } = JSON.parse(pending.get(id))
    pending.delete(id)
    this.inTransaction(() => {
      this.db.exec(preamble)
      for (const [name, lists] of Object.entries(changes)) this.load(name, schema.tables[name], lists)
      this.db.exec(postamble)
    })
    exports.loads += 1
    return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, JSON.stringify(value)]))
  }

  load(name, table, { created, updated, deleted }) {
    if (deleted.length) throw new Error('expected deleted field to be empty')
    if (!table) return
    const names = table.columnArray.map((column) => `"${column.name}"`)
    const places = names.map(() => '?').join(', ')
    const sql = `insert into "${name}" (id, _status, _changed, ${names}) values (?, 'synced', '', ${places})`
    for (const raw of [...created, ...updated]) {
      this.db.run(sql, [raw.id, ...table.columnArray.map((column) => raw[column.name])])
    }
  }

  inTransaction(work) {
    this.db.exec('begin')
    try {
      work()
      this.db.exec('commit')
      this.save()
    } catch (error) {
      this.db.exec('rollback')
      throw error
    }
  }
}

const WMDatabaseBridge = {
  initializeJSI() {
    const bound = { get: (database, name) => database[name]?.bind(database) } // called as functions
    globalThis.nativeWatermelonCreateAdapter = (name) => new Proxy(new NativeDatabase(name), bound)
  },
  provideSyncJson: async (id, json) => void pending.set(id, json),
}
globalThis.HermesInternal = {} // then queries come as objects
const reactNative = { NativeModules: { WMDatabaseBridge }, Platform: { OS: 'ios' } }

const { _load: load, _resolveFilename: resolve } = Module
Module._load = (name, ...rest) => (name === 'react-native' ? reactNative : load(name, ...rest))
Module._resolveFilename = (...args) => {
  const found = resolve(...args)
  const native = found.replace(/\.js$/, '.native.js')
  return native !== found && existsSync(native) ? native : found
}
