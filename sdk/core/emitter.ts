/** Listeners by name. A listener that throws stops neither the others nor the page. */
export class Emitter<Events extends object> {
  private readonly listeners: { [Name in keyof Events]?: Array<(detail: Events[Name]) => void> } = {};

  /** Call a function each time something happens. Returns a function that ends it. */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void {
    const all = (this.listeners[name] ??= []);
    all.push(listener);
    return () => {
      const index = all.indexOf(listener);
      if (index >= 0) all.splice(index, 1);
    };
  }

  /** Tell every listener. */
  emit<Name extends keyof Events>(name: Name, detail: Events[Name]): void {
    for (const listener of [...(this.listeners[name] ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        console.warn("oneself: a listener failed", error);
      }
    }
  }
}
