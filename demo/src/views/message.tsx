/** A page that says one thing. */
export function Message({ text }: { text: string }) {
  return (
    <main class="message">
      <h1>Melon</h1>
      <p role="status">{text}</p>
    </main>
  )
}
