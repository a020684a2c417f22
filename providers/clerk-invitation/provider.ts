// Stays at this path: states of before there were other mails than the invitation point here.
export { provider } from "../notification/provider";
